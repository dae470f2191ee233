// Every symmetry-distinct colouring of a crystal's disordered sites, each once, with its multiplicity.
//
// Method: a stabiliser chain over blocks. A block is one species on one orbit: k of its free sites are chosen.
// Inside a block sets grow in ascending order of sites, and a set stays only if no element of the group that is
// left maps it to a lexicographically smaller one; since every prefix of a smallest set is a smallest set (Read
// 1978, Faradzev 1978) whole branches fall at once. The next block continues with the stabiliser of the set, so a
// leaf stands for |G| / |stabiliser| colourings. What is not chosen by the last block of an orbit belongs to that
// orbit's rest species. Exclusions (site, species) x (site, species) must be invariant under the group.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <vector>

namespace nb = nanobind;
using Table = nb::ndarray<const int32_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Column = nb::ndarray<const int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Bytes = nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

namespace {

constexpr uint64_t kWorkPerTick = uint64_t(1) << 22;  // group elements looked at between two ticks: some 10 ms
constexpr int kUnassigned = -1;

struct Block {
    int begin, end;  // sites of its orbit
    int species, count;
    int rest;  // species of what is left of the orbit after this block, or kUnassigned when blocks follow
};

struct Problem {
    int n_sites = 0, n_species = 0;
    int64_t group_order = 0;
    const int32_t* permutations = nullptr;  // (group_order, n_sites), identity first
    std::vector<Block> blocks;
    const int32_t* conflict_begin = nullptr;  // (n_sites * n_species + 1), a list per (site, species)
    const int32_t* conflicts = nullptr;       // site * n_species + species
    bool has_exclusions = false;
    std::vector<uint8_t> row;       // one ordering of all sites, the ordered ones filled in
    std::vector<int32_t> row_site;  // place of each disordered site in the row
};

// Collects orderings and hands them to Python in batches; asks Python now and then whether to go on.
class Outlet {
   public:
    Outlet(nb::callable take, nb::callable tick, size_t row_size, size_t batch)
        : take_(std::move(take)), tick_(std::move(tick)), row_size_(row_size), batch_(batch) {
        rows_.reserve(row_size * batch);
        multiplicities_.reserve(batch);
    }

    bool put(const std::vector<uint8_t>& row, int64_t multiplicity) {
        rows_.insert(rows_.end(), row.begin(), row.end());
        multiplicities_.push_back(multiplicity);
        ++leaves_;
        return multiplicities_.size() < batch_ || flush();
    }

    bool flush() {
        if (multiplicities_.empty()) return true;
        nb::gil_scoped_acquire gil;
        bool go_on = ask([&] {
            return nb::cast<bool>(take_(nb::bytes(rows_.data(), rows_.size()),
                                        nb::bytes(multiplicities_.data(), multiplicities_.size() * sizeof(int64_t))));
        });
        rows_.clear();
        multiplicities_.clear();
        return go_on;
    }

    bool tick() {
        nb::gil_scoped_acquire gil;
        if (PyErr_CheckSignals() != 0) {
            failed_ = true;
            return false;
        }
        return ask([&] { return nb::cast<bool>(tick_(leaves_)); });
    }

    bool failed() const { return failed_; }
    int64_t leaves() const { return leaves_; }

   private:
    template <typename Question>
    bool ask(Question question) {
        try {
            return question();
        } catch (nb::python_error& error) {
            error.restore();  // stays set on this thread until the search has unwound
            failed_ = true;
            return false;
        }
    }

    nb::callable take_, tick_;
    size_t row_size_, batch_;
    std::vector<uint8_t> rows_;
    std::vector<int64_t> multiplicities_;
    int64_t leaves_ = 0;
    bool failed_ = false;
};

// Words > 0: masks of that many 64-bit words, known to the compiler; 0: any length.
template <int Words>
class Search {
   public:
    Search(Problem& problem, Outlet& outlet, int words)
        : p_(problem), out_(outlet), words_(words), colour_(problem.n_sites, kUnassigned),
          forbidden_(size_t(problem.n_sites) * problem.n_species, 0), levels_(problem.blocks.size()) {}

    // (site, species) that the ordered sites exclude.
    void forbid(const std::vector<int32_t>& nodes) {
        for (int32_t node : nodes) ++forbidden_[node];
    }

    bool run() {
        std::vector<int32_t> everyone(p_.group_order);
        std::iota(everyone.begin(), everyone.end(), 0);
        return enter(0, everyone) && out_.flush();
    }

   private:
    struct Level {
        int n_group = 0;
        std::vector<int32_t> group;    // indices into the permutations, identity first
        std::vector<int32_t> columns;  // (n_block_sites, n_group): image of each site, counted from the block's begin
        std::vector<uint64_t> images;  // (count + 1, n_group, words): image of the set chosen so far
    };

    int words() const { return Words > 0 ? Words : words_; }

    // Every function returns false to stop the whole search.
    bool enter(size_t index, const std::vector<int32_t>& group) {
        if (index == p_.blocks.size()) return emit(int64_t(group.size()));
        const Block& block = p_.blocks[index];
        Level& level = levels_[index];
        level.n_group = int(group.size());
        if (level.n_group > 1) {
            level.group = group;
            const int n = block.end - block.begin;
            level.columns.resize(size_t(n) * level.n_group);
            for (int i = 0; i < level.n_group; ++i) {
                const int32_t* permutation = p_.permutations + int64_t(group[i]) * p_.n_sites + block.begin;
                for (int x = 0; x < n; ++x) level.columns[size_t(x) * level.n_group + i] = permutation[x] - block.begin;
            }
            const size_t layer = size_t(level.n_group) * words();
            level.images.resize(std::max(level.images.size(), size_t(block.count + 1) * layer));
            std::fill_n(level.images.begin(), layer, 0);  // later layers are written before they are read
        }
        int free = 0;
        for (int x = block.begin; x < block.end; ++x) free += colour_[x] == kUnassigned;
        return extend(index, 0, block.begin, free);
    }

    // Chooses the next site at or after `start`; `free` sites from there on are not coloured yet.
    bool extend(size_t index, int chosen, int start, int free) {
        const Block& block = p_.blocks[index];
        if (chosen == block.count) return close(index, start);
        const int needed = block.count - chosen;
        bool go_on = true;
        int x = start;
        for (; x < block.end && free >= needed; ++x) {
            if (colour_[x] != kUnassigned) continue;
            --free;
            work_ += 8;
            if (work_ >= kWorkPerTick) {
                work_ = 0;
                go_on = out_.tick();
                if (!go_on) break;
            }
            if (allowed(x, block.species) && is_smallest(index, chosen, x)) {
                paint(x, block.species);
                go_on = extend(index, chosen + 1, x + 1, free);
                unpaint(x, block.species);
                if (!go_on) break;
            }
            if (block.rest != kUnassigned) {  // passing over the site gives it to the rest species
                if (!allowed(x, block.rest)) break;
                paint(x, block.rest);
            }
        }
        if (block.rest != kUnassigned) take_back(start, x, block.rest);
        return go_on;
    }

    // The block's set is complete: the rest of the orbit is coloured, and the next block has its stabiliser.
    bool close(size_t index, int start) {
        const Block& block = p_.blocks[index];
        Level& level = levels_[index];
        int x = start;
        bool fits = true;
        if (block.rest != kUnassigned) {
            for (; x < block.end; ++x) {
                if (colour_[x] != kUnassigned) continue;
                if (!allowed(x, block.rest)) {
                    fits = false;
                    break;
                }
                paint(x, block.rest);
            }
        }
        bool go_on = true;
        if (fits) go_on = enter(index + 1, level.n_group > 1 ? stabiliser(level, block.count) : trivial_);
        if (block.rest != kUnassigned) take_back(start, x, block.rest);
        return go_on;
    }

    // Uncolours the rest sites in [start, end). Later blocks are done with, earlier ones hold other species.
    void take_back(int start, int end, int rest) {
        for (int x = start; x < end; ++x)
            if (colour_[x] == rest) unpaint(x, rest);
    }

    std::vector<int32_t> stabiliser(const Level& level, int count) const {
        const int w = words();
        const uint64_t* images = level.images.data() + size_t(count) * level.n_group * w;
        std::vector<int32_t> kept;
        for (int i = 0; i < level.n_group; ++i)
            if (std::memcmp(images, images + size_t(i) * w, sizeof(uint64_t) * w) == 0) kept.push_back(level.group[i]);
        return kept;
    }

    // Whether no group element maps the set with x added to one whose sorted sites come earlier.
    bool is_smallest(size_t index, int chosen, int x) {
        Level& level = levels_[index];
        const int n = level.n_group, w = words();
        if (n <= 1) return true;
        const uint64_t* before = level.images.data() + size_t(chosen) * n * w;
        uint64_t* after = level.images.data() + size_t(chosen + 1) * n * w;
        const int32_t* column = level.columns.data() + size_t(x - p_.blocks[index].begin) * n;
        for (int i = 0; i < n; ++i) {
            uint64_t* image = after + size_t(i) * w;
            for (int k = 0; k < w; ++k) image[k] = before[size_t(i) * w + k];
            image[column[i] >> 6] |= uint64_t(1) << (column[i] & 63);
            for (int k = 0; k < w; ++k) {
                const uint64_t differ = image[k] ^ after[k];  // after[0 .. w) is the set itself: identity first
                if (differ == 0) continue;
                if (image[k] & (differ & (~differ + 1))) {
                    work_ += uint64_t(i);
                    return false;
                }
                break;
            }
        }
        work_ += uint64_t(n);
        return true;
    }

    bool allowed(int site, int species) const {
        return !p_.has_exclusions || forbidden_[size_t(site) * p_.n_species + species] == 0;
    }

    void paint(int site, int species) {
        colour_[site] = species;
        p_.row[p_.row_site[site]] = uint8_t(species);
        if (p_.has_exclusions) shift(site, species, 1);
    }

    void unpaint(int site, int species) {
        colour_[site] = kUnassigned;
        if (p_.has_exclusions) shift(site, species, -1);
    }

    void shift(int site, int species, int by) {
        const size_t node = size_t(site) * p_.n_species + species;
        for (int32_t c = p_.conflict_begin[node]; c < p_.conflict_begin[node + 1]; ++c) forbidden_[p_.conflicts[c]] += by;
    }

    bool emit(int64_t stabiliser_order) { return out_.put(p_.row, p_.group_order / stabiliser_order); }

    Problem& p_;
    Outlet& out_;
    const int words_;
    std::vector<int> colour_;
    std::vector<int32_t> forbidden_;  // how many filled sites forbid this (site, species)
    std::vector<Level> levels_;
    const std::vector<int32_t> trivial_{0};
    uint64_t work_ = 0;
};

int64_t enumerate(Table permutations, Table blocks, Column conflict_begin, Column conflicts, Column forbidden,
                  Bytes row, Column row_site, int n_species, nb::callable take, nb::callable tick, size_t batch) {
    Problem problem;
    problem.n_sites = int(permutations.shape(1));
    problem.n_species = n_species;
    problem.group_order = int64_t(permutations.shape(0));
    problem.permutations = permutations.data();
    problem.conflict_begin = conflict_begin.data();
    problem.conflicts = conflicts.data();
    problem.has_exclusions = conflicts.shape(0) > 0 || forbidden.shape(0) > 0;
    problem.row.assign(row.data(), row.data() + row.shape(0));
    problem.row_site.assign(row_site.data(), row_site.data() + row_site.shape(0));
    if (blocks.shape(1) != 5 || batch == 0 || problem.group_order == 0) throw std::invalid_argument("malformed problem");
    int longest = 1;
    for (size_t b = 0; b < blocks.shape(0); ++b) {
        const int32_t* line = blocks.data() + b * 5;
        problem.blocks.push_back({line[0], line[1], line[2], line[3], line[4]});
        longest = std::max(longest, int(line[1] - line[0]));
    }
    for (int x = 0; x < problem.n_sites; ++x)
        if (problem.permutations[x] != x) throw std::invalid_argument("the first permutation must be the identity");
    Outlet outlet(std::move(take), std::move(tick), problem.row.size(), batch);
    const std::vector<int32_t> forced(forbidden.data(), forbidden.data() + forbidden.shape(0));
    const int words = (longest + 63) / 64;
    {
        nb::gil_scoped_release no_gil;
        auto search = [&](auto&& engine) {
            engine.forbid(forced);
            engine.run();
        };
        if (words == 1) search(Search<1>(problem, outlet, words));
        else if (words == 2) search(Search<2>(problem, outlet, words));
        else search(Search<0>(problem, outlet, words));
    }
    if (outlet.failed()) throw nb::python_error();
    return outlet.leaves();
}

}  // namespace

NB_MODULE(_enumerator, module) {
    module.doc() = "Symmetry-distinct colourings by a stabiliser-chain depth-first search.";
    module.def("enumerate", &enumerate, nb::arg("permutations"), nb::arg("blocks"), nb::arg("conflict_begin"),
               nb::arg("conflicts"), nb::arg("forbidden"), nb::arg("row"), nb::arg("row_site"), nb::arg("n_species"),
               nb::arg("take"), nb::arg("tick"), nb::arg("batch"),
               "Streams every distinct colouring to take(rows, multiplicities) -> bool; asks tick(leaves) -> bool "
               "now and then; either may raise. Returns the number of colourings handed on.");
}
