// What is searched: sites, symmetry, blocks and exclusions. Read by all threads, changed by none.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace halion {

constexpr int kUnassigned = -1;

struct Block {
    int begin, end;  // sites of its orbit
    int species, count;
    int rest;    // species of what is left of the orbit after this block, or kUnassigned when blocks follow
    int n_free;  // sites of the orbit that no earlier block has taken
    bool restricted;    // whether an exclusion concerns its species or its rest
    double ways_after;  // ways to fill the blocks that follow, symmetry and exclusions apart
};

// Ways to choose `count` of `n`; never above kVeryMany, where nothing depends on the number any more.
constexpr double kVeryMany = 1e200;
inline double binomial(int n, int count) {
    if (count < 0 || count > n) return 0.0;
    double ways = 1.0;
    for (int k = 1; k <= std::min(count, n - count); ++k) ways = std::min(kVeryMany, ways * (n - k + 1) / k);
    return ways;
}

struct Problem {
    int n_sites = 0, n_species = 0;
    int64_t group_order = 0;
    const int32_t* permutations = nullptr;  // (group_order, n_sites), identity first
    std::vector<Block> blocks;
    const int32_t* conflict_begin = nullptr;  // (n_sites * n_species + 1), a list per (site, species)
    const int32_t* conflicts = nullptr;       // site * n_species + species
    std::vector<int32_t> forbidden;           // (site, species) that the ordered sites exclude
    std::vector<uint8_t> row;                 // one ordering of all sites, the ordered ones filled in
    std::vector<int32_t> row_site;            // place of each disordered site in the row

    size_t node(int site, int species) const { return size_t(site) * n_species + species; }

    // Fills in what follows from the blocks' sites, species and counts.
    void prepare() {
        std::vector<uint8_t> excluded(size_t(n_sites) * n_species, 0);
        for (int32_t each : forbidden) excluded[each] = 1;
        for (size_t each = 0; each < excluded.size(); ++each)
            if (conflict_begin[each + 1] > conflict_begin[each]) excluded[each] = 1;
        double ways = 1.0;
        for (size_t b = blocks.size(); b-- > 0;) {
            Block& block = blocks[b];
            block.n_free = block.end - block.begin;
            for (size_t earlier = 0; earlier < b; ++earlier)
                if (blocks[earlier].begin == block.begin) block.n_free -= blocks[earlier].count;
            block.restricted = false;
            for (int x = block.begin; x < block.end; ++x)
                block.restricted = block.restricted || excluded[node(x, block.species)] ||
                                   (block.rest != kUnassigned && excluded[node(x, block.rest)]);
            block.ways_after = ways;
            ways = std::min(kVeryMany, ways * binomial(block.n_free, block.count));
        }
    }

    // Words of a mask over the free sites of the longest block.
    int words() const {
        int longest = 1;
        for (const Block& block : blocks) longest = std::max(longest, block.n_free);
        return (longest + 63) / 64;
    }
};

}  // namespace halion
