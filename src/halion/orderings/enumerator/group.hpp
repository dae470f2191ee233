// Images of a growing set of sites under a group: is it the smallest of them, and what leaves it as it is?
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace halion {

// Words > 0: masks of that many 64-bit words, known to the compiler; 0: any length. The first site is the highest
// bit of the first word, so of two sets the lexicographically smaller one is the larger number.
//
// Elements whose image stays larger than the set, whatever is added to both, are dropped on the way down. With S the
// set and m the first place that a site not decided yet can be mapped to, the image of any completion is at most
// g(S) | (all places from m on), and a completion of S is at least S.
template <int Words>
class SetImages {
   public:
    // The empty set of `sites` (ascending, closed under the group; the identity comes first), to grow to `count`.
    void begin(const std::vector<int32_t>& group, const int32_t* permutations, int n_sites,
               const std::vector<int32_t>& sites, int count) {
        n_group_ = int(group.size());
        count_ = count;
        if (n_group_ == 1) return;
        group_ = group;
        n_free_ = int(sites.size());
        words_ = Words > 0 ? Words : (n_free_ + 63) / 64;
        place_.resize(size_t(n_sites));
        for (int k = 0; k < n_free_; ++k) place_[sites[k]] = uint16_t(k);
        image_.resize(size_t(n_free_) * n_group_);
        reach_.resize(size_t(n_free_) * n_group_);
        for (int i = 0; i < n_group_; ++i) {
            const int32_t* permutation = permutations + int64_t(group[i]) * n_sites;
            int first = n_free_;
            for (int k = n_free_; k-- > 0;) {
                const int image = place_[permutation[sites[k]]];
                first = std::min(first, image);
                image_[size_t(k) * n_group_ + i] = uint16_t(image);
                reach_[size_t(k) * n_group_ + i] = uint16_t(first);
            }
        }
        layers_.resize(std::max(layers_.size(), size_t(count) + 1));
        for (int depth = 0; depth <= count; ++depth) layers_[depth].reserve(n_group_, words());
        Layer& empty = layers_[0];
        empty.n = n_group_;
        for (int i = 0; i < n_group_; ++i) empty.element[i] = i;
        std::fill_n(empty.mask.begin(), size_t(words()) * n_group_, 0);
        killer_ = 0;
    }

    // Elements that have not been dropped; 1: all completions of the set are smallest and none is symmetric.
    int n_left(int chosen) const { return n_group_ == 1 ? 1 : layers_[chosen].n; }

    // Adds the site at `place` to the set of `chosen` sites; false: an element maps the new set to a smaller one.
    bool add(int chosen, int place, uint64_t& work) {
        if (n_left(chosen) == 1 && n_group_ > 1 && chosen + 1 < count_) return copy_identity(chosen, place);
        if (n_group_ == 1) return true;
        const Layer& before = layers_[chosen];
        const int guess = std::min(killer_, before.n - 1);  // it often is the same element again
        if (is_smaller(before, guess, place)) return false;
        const int smaller = chosen + 1 < count_ ? grow(before, layers_[chosen + 1], place)
                                                : finish(before, layers_[chosen + 1], place);
        if (smaller >= 0) killer_ = smaller;
        // Which element ends a test first depends on the tests before, so on the thread: it is not counted, for the
        // numbers of the tasks hang on the work.
        if (smaller < 0) work += uint64_t(before.n);
        return smaller < 0;
    }

    // Number of elements that map the complete set to itself, after `add` has completed it.
    int stabiliser_order() const { return n_group_ == 1 ? 1 : layers_[count_].n; }

    std::vector<int32_t> stabiliser() const {
        if (n_group_ == 1) return {0};
        std::vector<int32_t> kept;
        for (int i = 0; i < layers_[count_].n; ++i) kept.push_back(group_[layers_[count_].element[i]]);
        return kept;
    }

   private:
    struct Layer {
        int n = 0;
        std::vector<int32_t> element;  // in the group of the block, identity first
        std::vector<uint64_t> mask;    // (n, words): image of the set
        void reserve(int n_group, int words) {
            if (element.size() < size_t(n_group)) element.resize(n_group);
            if (mask.size() < size_t(n_group) * words) mask.resize(size_t(n_group) * words);
        }
    };

    int words() const { return Words > 0 ? Words : words_; }
    static uint64_t bit(int place, int w) { return (place >> 6) == w ? (uint64_t(1) << 63) >> (place & 63) : 0; }
    static uint64_t from(int place, int w) {
        return (place >> 6) == w ? ~uint64_t(0) >> (place & 63) : (place >> 6) < w ? ~uint64_t(0) : 0;
    }

    bool copy_identity(int chosen, int place) {
        const Layer& before = layers_[chosen];
        Layer& after = layers_[chosen + 1];
        after.n = 1;
        after.element[0] = 0;
        for (int w = 0; w < words(); ++w) after.mask[w] = before.mask[w] | bit(place, w);
        return true;
    }

    // Whether the image of the set with `place` added is smaller than that set.
    bool is_smaller(const Layer& before, int i, int place) const {
        const int image_place = image_[size_t(place) * n_group_ + before.element[i]];
        for (int w = 0; w < words(); ++w) {
            const uint64_t set = before.mask[w] | bit(place, w);
            const uint64_t image = before.mask[size_t(i) * words() + w] | bit(image_place, w);
            if (image != set) return image > set;
        }
        return false;
    }

    // Writes the next layer; returns the first element with a smaller image, or -1.
    int grow(const Layer& before, Layer& after, int place) const {
        const uint16_t* images = image_.data() + size_t(place) * n_group_;
        const uint16_t* reach = reach_.data() + size_t(place + 1) * n_group_;
        int n = 0;
        if constexpr (Words == 1) {
            const uint64_t set = before.mask[0] | bit(place, 0);
            for (int i = 0; i < before.n; ++i) {
                const int element = before.element[i];
                const uint64_t image = before.mask[i] | (uint64_t(1) << 63) >> images[element];
                if (image > set) return i;
                after.element[n] = element;
                after.mask[n] = image;
                n += (image | ~uint64_t(0) >> reach[element]) >= set;
            }
        } else {
            for (int i = 0; i < before.n; ++i) {
                const int element = before.element[i];
                int order = 0, bound = 0;  // of the image, and of the most that it can become, against the set
                for (int w = 0; w < words(); ++w) {
                    const uint64_t set = before.mask[w] | bit(place, w);
                    const uint64_t image = before.mask[size_t(i) * words() + w] | bit(images[element], w);
                    const uint64_t most = image | from(reach[element], w);
                    after.mask[size_t(n) * words() + w] = image;
                    if (order == 0 && image != set) order = image > set ? 1 : -1;
                    if (bound == 0 && most != set) bound = most > set ? 1 : -1;
                }
                if (order > 0) return i;
                after.element[n] = element;
                n += bound >= 0;
            }
        }
        after.n = n;
        return -1;
    }

    // The set becomes complete: keeps the elements that leave it as it is.
    int finish(const Layer& before, Layer& after, int place) const {
        const uint16_t* images = image_.data() + size_t(place) * n_group_;
        int n = 0;
        for (int i = 0; i < before.n; ++i) {
            const int element = before.element[i];
            int order = 0;
            for (int w = 0; w < words() && order == 0; ++w) {
                const uint64_t set = before.mask[w] | bit(place, w);
                const uint64_t image = before.mask[size_t(i) * words() + w] | bit(images[element], w);
                if (image != set) order = image > set ? 1 : -1;
            }
            if (order > 0) return i;
            after.element[n] = element;
            n += order == 0;
        }
        after.n = n;
        return -1;
    }

    int n_group_ = 1, n_free_ = 0, count_ = 0, words_ = 1, killer_ = 0;
    std::vector<int32_t> group_;   // indices into the permutations, identity first
    std::vector<uint16_t> place_;  // of each site among the free ones
    std::vector<uint16_t> image_;  // (n_free, n_group): place of each free site's image
    std::vector<uint16_t> reach_;  // (n_free, n_group): first place that this free site or a later one is mapped to
    std::vector<Layer> layers_;    // one per number of chosen sites
};

}  // namespace halion
