// A stabiliser chain over blocks: every symmetry-distinct colouring once, with its multiplicity.
//
// A block is one species on one orbit: k of the orbit's free sites are chosen. Inside a block sets grow in ascending
// order of sites, and a set stays only if no element of the group that is left maps it to a lexicographically
// smaller one; since every prefix of a smallest set is a smallest set (Read 1978, Faradzev 1978) whole branches fall
// at once. The next block continues with the stabiliser of the set, so a leaf stands for |G| / |stabiliser|
// colourings. What is not chosen by the last block of an orbit belongs to that orbit's rest species. Exclusions
// (site, species) x (site, species) must be invariant under the group. Once the group is trivial and no exclusion is
// left, all that follows are plain combinations, written without a test.
#pragma once

#include <cstring>
#include <numeric>

#include "group.hpp"
#include "problem.hpp"
#include "stream.hpp"

namespace halion {

template <int Words>
class Search {
   public:
    Search(const Problem& problem, Tasks& tasks)
        : p_(problem), tasks_(tasks), row_(problem.row), colour_(problem.n_sites, kUnassigned),
          forbidden_(size_t(problem.n_sites) * problem.n_species, 0), levels_(problem.blocks.size()) {
        for (int32_t node : problem.forbidden) ++forbidden_[node];
        for (size_t index = 0; index < levels_.size(); ++index) levels_[index].sites.resize(problem.blocks[index].n_free);
    }

    void run() {
        std::vector<int32_t> everyone(p_.group_order);
        std::iota(everyone.begin(), everyone.end(), 0);
        if (p_.blocks.empty()) {
            if (tasks_.enter(1.0)) emit(p_.group_order);
        } else {
            enter(0, everyone);
        }
        tasks_.leave();
        tasks_.end();
    }

   private:
    struct Level {
        std::vector<int32_t> sites;   // the orbit's sites that are free when the block begins
        std::vector<int32_t> places;  // of the combination being written, indices into `sites`
        SetImages<Words> images;
    };

    // Every function returns false to stop the whole search.
    bool enter(size_t index, const std::vector<int32_t>& group) {
        if (index == p_.blocks.size()) return emit(p_.group_order / int64_t(group.size()));
        const Block& block = p_.blocks[index];
        Level& level = levels_[index];
        int n = 0;
        for (int x = block.begin; x < block.end; ++x)
            if (colour_[x] == kUnassigned) level.sites[n++] = x;
        level.images.begin(group, p_.permutations, p_.n_sites, level.sites, block.count);
        if (!block.restricted && block.rest != kUnassigned)
            for (int32_t x : level.sites) row_[p_.row_site[x]] = uint8_t(block.rest);
        return extend(index, 0, 0);
    }

    // Chooses the next site among the free ones at or after place `start`.
    bool extend(size_t index, int chosen, int start) {
        const Block& block = p_.blocks[index];
        Level& level = levels_[index];
        if (!tasks_.inside()) {
            const double ways = ways_below(index, chosen, start);
            if (ways == 0.0) return true;
            if (ways <= Tasks::kWaysPerTask) {
                const bool go_on = !tasks_.enter(ways) || extend(index, chosen, start);
                tasks_.leave();
                return go_on;
            }
        }
        if (chosen == block.count) return close(index, start);
        if (level.images.n_left(chosen) == 1 && !block.restricted && tasks_.inside()) return combine(index, chosen, start);
        const int last = block.n_free - (block.count - chosen);
        bool go_on = true;
        int place = start;
        for (; place <= last; ++place) {
            const int x = level.sites[place];
            go_on = tasks_.spend(8);
            if (!go_on) break;
            if (allowed(block, x, block.species)) {
                uint64_t work = 0;
                const bool is_smallest = level.images.add(chosen, place, work);
                go_on = tasks_.spend(work);
                if (is_smallest && go_on) {
                    paint(block, x, block.species);
                    go_on = extend(index, chosen + 1, place + 1);
                    unpaint(block, x, block.species);
                }
                if (!go_on) break;
            }
            if (block.restricted && block.rest != kUnassigned) {  // passing over the site gives it to the rest species
                if (!allowed(block, x, block.rest)) break;
                paint(block, x, block.rest);
            }
        }
        take_back(index, start, place);
        return go_on;
    }

    // The block's set is complete: the rest of the orbit is coloured, and the next block has its stabiliser.
    bool close(size_t index, int start) {
        const Block& block = p_.blocks[index];
        Level& level = levels_[index];
        int place = start;
        bool fits = true;
        if (block.restricted && block.rest != kUnassigned) {
            while (place < block.n_free && fits) {
                const int x = level.sites[place];
                fits = allowed(block, x, block.rest);
                if (!fits) break;
                paint(block, x, block.rest);
                ++place;
            }
        }
        bool go_on = true;
        if (fits) {
            const int order = level.images.stabiliser_order();
            if (index + 1 == p_.blocks.size()) go_on = emit(p_.group_order / order);
            else go_on = enter(index + 1, order > 1 ? level.images.stabiliser() : trivial_);
        }
        take_back(index, start, place);
        return go_on;
    }

    // Uncolours the rest sites at places [start, end).
    void take_back(size_t index, int start, int end) {
        const Block& block = p_.blocks[index];
        if (!block.restricted || block.rest == kUnassigned) return;
        for (int place = start; place < end; ++place) {
            const int x = levels_[index].sites[place];
            if (colour_[x] == block.rest) unpaint(block, x, block.rest);
        }
    }

    // All ways to complete a block under the trivial group and no exclusion, in the same order as `extend`.
    bool combine(size_t index, int chosen, int start) {
        const Block& block = p_.blocks[index];
        Level& level = levels_[index];
        const int k = block.count - chosen, slack = block.n_free - k;
        const bool is_last = index + 1 == p_.blocks.size();
        std::vector<int32_t>& places = level.places;
        places.resize(k);
        std::iota(places.begin(), places.end(), start);
        for (int32_t place : places) paint(block, level.sites[place], block.species);
        bool go_on = true;
        while (true) {
            go_on = is_last ? tasks_.spend(1) && emit(p_.group_order) : enter(index + 1, trivial_);
            int moved = k - 1;
            while (moved >= 0 && places[moved] == slack + moved) --moved;
            if (moved < 0 || !go_on) break;
            for (int j = moved; j < k; ++j) unpaint(block, level.sites[places[j]], block.species);
            ++places[moved];
            for (int j = moved + 1; j < k; ++j) places[j] = places[j - 1] + 1;
            for (int j = moved; j < k; ++j) paint(block, level.sites[places[j]], block.species);
        }
        for (int32_t place : places) unpaint(block, level.sites[place], block.species);
        return go_on;
    }

    // Colourings below a node, at most: of the sites at or after `start` that may still be chosen, and of all later
    // blocks.
    double ways_below(size_t index, int chosen, int start) const {
        const Block& block = p_.blocks[index];
        int n = block.n_free - start;
        if (block.restricted) {
            n = 0;
            for (int place = start; place < block.n_free; ++place)
                n += allowed(block, levels_[index].sites[place], block.species);
        }
        return std::min(kVeryMany, binomial(n, block.count - chosen) * block.ways_after);
    }

    bool allowed(const Block& block, int site, int species) const {
        return !block.restricted || forbidden_[p_.node(site, species)] == 0;
    }

    void paint(const Block& block, int site, int species) {
        colour_[site] = species;
        row_[p_.row_site[site]] = uint8_t(species);
        if (block.restricted) shift(site, species, 1);
    }

    void unpaint(const Block& block, int site, int species) {
        colour_[site] = kUnassigned;
        if (block.restricted) shift(site, species, -1);
        else if (block.rest != kUnassigned) row_[p_.row_site[site]] = uint8_t(block.rest);
    }

    void shift(int site, int species, int by) {
        const size_t node = p_.node(site, species);
        for (int32_t c = p_.conflict_begin[node]; c < p_.conflict_begin[node + 1]; ++c) forbidden_[p_.conflicts[c]] += by;
    }

    bool emit(int64_t multiplicity) { return tasks_.emit(row_.data(), multiplicity); }

    const Problem& p_;
    Tasks& tasks_;
    std::vector<uint8_t> row_;
    std::vector<int> colour_;
    std::vector<int32_t> forbidden_;  // how many filled sites forbid this (site, species)
    std::vector<Level> levels_;
    const std::vector<int32_t> trivial_{0};
};

}  // namespace halion
