// The compiled search as a Python function: every symmetry-distinct colouring of a crystal's disordered sites, each
// once, with its multiplicity, handed on in one fixed order. The method is told in search.hpp.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <stdexcept>
#include <system_error>
#include <thread>

#include "search.hpp"

namespace nb = nanobind;
using Table = nb::ndarray<const int32_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Column = nb::ndarray<const int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Bytes = nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

namespace {

using halion::Part;
using halion::Problem;
using halion::Share;
using halion::Stream;
using halion::Tasks;

// Changed whenever the tasks are numbered in another way: what was stored half-way cannot be continued then.
constexpr int kNumbering = 1;
constexpr auto kPatience = std::chrono::milliseconds(20);  // between two questions whether to go on

template <int Words>
void walk(const Problem& problem, Stream& stream) {
    try {
        Tasks tasks(stream, problem.row.size());
        halion::Search<Words>(problem, tasks).run();
    } catch (...) {
        stream.leave(-1, std::current_exception());
    }
}

void walk(const Problem& problem, Stream& stream) {
    const int words = problem.words();
    if (words == 1) walk<1>(problem, stream);
    else if (words == 2) walk<2>(problem, stream);
    else walk<0>(problem, stream);
}

// What ends a search early. The parts come in one order whatever the threads do, so the same question ends at the
// same place on every machine.
struct Limits {
    int64_t orderings;  // stop when there are more than this
    uint64_t work;      // stop when more group elements than this were looked at
};

// Hands the parts on; the interpreter's lock is held only while Python is asked.
class Desk {
   public:
    Desk(Stream& stream, nb::callable take, nb::callable poll, Limits limits)
        : stream_(stream), take_(std::move(take)), poll_(std::move(poll)), limits_(limits) {}

    // Returns "end", "stopped", "orderings" or "work": why there is no more.
    const char* run() {
        for (auto asked = std::chrono::steady_clock::now();;) {
            Part part;
            const Stream::News news = stream_.get(part, kPatience);
            if (news == Stream::News::part && !hand_on(part)) return "stopped";
            stream_.give_back(std::move(part.rows));
            n_orderings_ += int64_t(part.multiplicities.size());
            work_ += part.work;
            if (n_orderings_ > limits_.orderings) return "orderings";
            if (work_ > limits_.work) return "work";
            if (news == Stream::News::end) return "end";
            const auto now = std::chrono::steady_clock::now();
            if (now - asked >= kPatience) {
                asked = now;
                if (!poll()) return "stopped";
            }
        }
    }

    bool failed() const { return failed_; }
    int64_t n_orderings() const { return n_orderings_; }
    uint64_t work() const { return work_; }

   private:
    // Parts without rows are passed on too when they end a task: they move the position.
    bool hand_on(const Part& part) {
        if (part.multiplicities.empty() && !part.ends_task) return true;
        nb::gil_scoped_acquire gil;
        return ask([&] {
            return nb::cast<bool>(
                take_(nb::bytes(part.rows.data(), part.rows.size()),
                      nb::bytes(part.multiplicities.data(), part.multiplicities.size() * sizeof(int64_t)),
                      part.ends_task ? nb::object(nb::int_(stream_.position())) : nb::none()));
        });
    }

    bool poll() {
        nb::gil_scoped_acquire gil;
        if (PyErr_CheckSignals() != 0) {
            failed_ = true;
            return false;
        }
        return ask([&] { return nb::cast<bool>(poll_()); });
    }

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

    Stream& stream_;
    nb::callable take_, poll_;
    const Limits limits_;
    int64_t n_orderings_ = 0;
    uint64_t work_ = 0;
    bool failed_ = false;
};

Problem stated(Table permutations, Table blocks, Column conflict_begin, Column conflicts, Column forbidden, Bytes row,
               Column row_site, int n_species) {
    Problem problem;
    problem.n_sites = int(permutations.shape(1));
    problem.n_species = n_species;
    problem.group_order = int64_t(permutations.shape(0));
    problem.permutations = permutations.data();
    problem.conflict_begin = conflict_begin.data();
    problem.conflicts = conflicts.data();
    problem.forbidden.assign(forbidden.data(), forbidden.data() + forbidden.shape(0));
    problem.row.assign(row.data(), row.data() + row.shape(0));
    problem.row_site.assign(row_site.data(), row_site.data() + row_site.shape(0));
    if (blocks.shape(1) != 5 || problem.group_order == 0) throw std::invalid_argument("malformed problem");
    if (conflict_begin.shape(0) != size_t(problem.n_sites) * n_species + 1) throw std::invalid_argument("malformed lists");
    for (size_t b = 0; b < blocks.shape(0); ++b) {
        const int32_t* line = blocks.data() + b * 5;
        problem.blocks.push_back({line[0], line[1], line[2], line[3], line[4], 0, false, 1.0});
    }
    for (int x = 0; x < problem.n_sites; ++x)
        if (problem.permutations[x] != x) throw std::invalid_argument("the first permutation must be the identity");
    problem.prepare();
    return problem;
}

nb::tuple enumerate(Table permutations, Table blocks, Column conflict_begin, Column conflicts, Column forbidden,
                    Bytes row, Column row_site, int n_species, nb::tuple share, nb::tuple limits, int threads,
                    nb::callable take, nb::callable poll) {
    const Problem problem =
        stated(permutations, blocks, conflict_begin, conflicts, forbidden, row, row_site, n_species);
    const Share part{nb::cast<int64_t>(share[0]), nb::cast<int64_t>(share[1]), nb::cast<int64_t>(share[2]),
                     nb::cast<int64_t>(share[3])};
    const Limits most{nb::cast<int64_t>(limits[0]), nb::cast<uint64_t>(limits[1])};
    if (threads < 1 || part.first < 0 || part.of < 1 || part.shard < 0 || part.shard >= part.of || part.offset < 0)
        throw std::invalid_argument("malformed share");
    Stream stream(part, threads);
    Desk desk(stream, std::move(take), std::move(poll), most);
    const char* reason = "end";
    {
        nb::gil_scoped_release no_gil;
        std::vector<std::thread> team;
        for (int k = 0; k < threads; ++k) {
            try {
                team.emplace_back([&] { walk(problem, stream); });
            } catch (const std::system_error&) {  // no more threads to be had: fewer find the same
                if (team.empty()) throw;
                stream.leave(-1);
            }
        }
        reason = desk.run();
        stream.stop();
        for (std::thread& each : team) each.join();
    }
    if (desk.failed()) throw nb::python_error();
    if (stream.error()) std::rethrow_exception(stream.error());
    return nb::make_tuple(desk.n_orderings(), stream.position(), reason, desk.work());
}

}  // namespace

NB_MODULE(_search, module) {
    module.doc() = "Symmetry-distinct colourings by a stabiliser-chain depth-first search on all cores.";
    module.attr("NUMBERING") = kNumbering;
    module.def("enumerate", &enumerate, nb::arg("permutations"), nb::arg("blocks"), nb::arg("conflict_begin"),
               nb::arg("conflicts"), nb::arg("forbidden"), nb::arg("row"), nb::arg("row_site"), nb::arg("n_species"),
               nb::arg("share"), nb::arg("limits"), nb::arg("threads"), nb::arg("take"), nb::arg("poll"),
               "Streams every distinct colouring of a share (first task, shard, of how many, offset) to "
               "take(rows, multiplicities, position or None) -> bool, where a position is the first task that is not "
               "complete yet; asks poll() -> bool some fifty times a second; either may raise. Limits are the most "
               "orderings and the most work. Returns (colourings handed on, position, why it ended, work).");
}
