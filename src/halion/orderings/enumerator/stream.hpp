// Tasks and the order of the results: several threads search, one hands on what they find, task after task.
//
// Every thread walks the upper part of the same search tree and so meets the same numbered tasks; each task is
// searched by the thread that has claimed it. A thread whose task is not next in order may fill a bounded buffer
// and then waits; the thread with the next task never waits for another. So memory is bounded, and what is handed
// on does not depend on the number of threads or on their speed.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <vector>

namespace halion {

// A part of what one task found.
struct Part {
    std::vector<uint8_t> rows;
    std::vector<int64_t> multiplicities;
    uint64_t work = 0;      // group elements looked at, about
    bool ends_task = false;
};

// Which tasks are searched: number >= first and (number + offset) % of == shard.
struct Share {
    int64_t first = 0, shard = 0, of = 1, offset = 0;

    int64_t begin() const {
        const int64_t over = (first + offset) % of;
        return first + (shard - over + of) % of;
    }
};

class Stream {
   public:
    Stream(Share share, int n_threads)
        : share_(share), next_claim_(share.begin()), head_(share.begin()), most_bytes_(kWindow + n_threads * kPart),
          running_(n_threads) {}

    static constexpr size_t kPart = size_t(1) << 18;    // bytes of rows handed over at once
    static constexpr size_t kWindow = size_t(24) << 20;  // bytes that may wait for their turn

    // --- for the threads that search ---

    // Room for the rows of a part; used again and again, for fresh memory costs as much as the search.
    std::vector<uint8_t> buffer() {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (!spare_.empty()) {
                std::vector<uint8_t> given = std::move(spare_.back());
                spare_.pop_back();
                return given;
            }
        }
        std::vector<uint8_t> given;
        given.reserve(kPart);
        return given;
    }

    int64_t claim() { return next_claim_.fetch_add(share_.of); }
    bool stopped() const { return stop_.load(std::memory_order_relaxed); }

    // Waits for room; false: the search is to end.
    bool put(int64_t task, Part&& part) {
        const size_t bytes = size_of(part);
        std::unique_lock<std::mutex> lock(mutex_);
        room_.wait(lock, [&] { return stop_ || waiting_bytes_ < most_bytes_ || (task == head_ && head_is_empty()); });
        if (stop_) return false;
        waiting_bytes_ += bytes;
        waiting_[task].push_back(std::move(part));
        const bool is_next = task == head_;
        lock.unlock();
        if (is_next) news_.notify_one();
        return true;
    }

    // A thread has walked the whole tree, which has this many tasks, or has been stopped (-1), or has failed.
    void leave(int64_t n_tasks, std::exception_ptr error = nullptr) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (n_tasks >= 0) n_tasks_ = n_tasks;
        if (error && !error_) error_ = error;
        --running_;
        news_.notify_one();
    }

    // --- for the one that hands on ---

    void give_back(std::vector<uint8_t>&& buffer) {
        if (buffer.capacity() < kPart) return;
        buffer.clear();
        const std::lock_guard<std::mutex> lock(mutex_);
        if (spare_.size() < kSpare) spare_.push_back(std::move(buffer));
    }

    enum class News { part, nothing_yet, end };

    // The next part in order; waits up to the given time for it.
    News get(Part& part, std::chrono::milliseconds patience) {
        std::unique_lock<std::mutex> lock(mutex_);
        news_.wait_for(lock, patience, [&] { return !head_is_empty() || is_over() || error_; });
        if (error_) return News::end;
        if (head_is_empty()) return is_over() ? News::end : News::nothing_yet;
        std::deque<Part>& parts = waiting_[head_];
        part = std::move(parts.front());
        parts.pop_front();
        waiting_bytes_ -= size_of(part);
        if (part.ends_task) {
            waiting_.erase(head_);
            head_ += share_.of;
        }
        lock.unlock();
        room_.notify_all();
        return News::part;
    }

    void stop() {
        const std::lock_guard<std::mutex> lock(mutex_);
        stop_ = true;
        room_.notify_all();
    }

    // The number of the next task that is not handed on in full.
    int64_t position() const { return head_; }
    std::exception_ptr error() const { return error_; }

   private:
    static constexpr size_t kOverhead = 256;  // bytes of a part without rows, about
    static constexpr size_t kSpare = 64;

    static size_t size_of(const Part& part) { return part.rows.size() + 8 * part.multiplicities.size() + kOverhead; }
    bool head_is_empty() const {
        const auto found = waiting_.find(head_);
        return found == waiting_.end() || found->second.empty();
    }
    bool is_over() const { return (n_tasks_ >= 0 && head_ >= n_tasks_) || running_ == 0; }

    const Share share_;
    std::atomic<int64_t> next_claim_;
    std::atomic<bool> stop_{false};
    std::mutex mutex_;
    std::condition_variable room_, news_;
    std::map<int64_t, std::deque<Part>> waiting_;
    int64_t head_;
    std::vector<std::vector<uint8_t>> spare_;
    size_t waiting_bytes_ = 0;
    const size_t most_bytes_;
    int running_;
    int64_t n_tasks_ = -1;
    std::exception_ptr error_;
};

// One thread's place among the tasks: it walks past all of them and searches those that it claims.
class Tasks {
   public:
    Tasks(Stream& stream, size_t row_size) : stream_(stream), row_size_(row_size), claimed_(stream.claim()), rows_(stream.buffer()) {}

    // Colourings (symmetry and exclusions apart) after which the next task begins: some milliseconds of work and a
    // few MiB of rows at most. Another number would be another numbering of tasks: see kNumbering.
    static constexpr double kWaysPerTask = 1 << 15;
    static constexpr uint64_t kWorkPerTask = uint64_t(1) << 22;  // or this much work above the tasks
    static constexpr uint64_t kWorkPerPart = uint64_t(1) << 22;  // in a task, after which it is heard of

    // A subtree small enough to be searched at once comes next: whether it is this thread's to search.
    bool enter(double ways) {
        if (ways_ >= kWaysPerTask) advance();
        ways_ += ways;
        inside_ = task_ == claimed_;
        return inside_;
    }
    void leave() { inside_ = false; }
    bool inside() const { return inside_; }

    // Adds work; false: stop.
    bool spend(uint64_t work) {
        work_ += work;
        if (inside_) return work_ < kWorkPerPart || hand_over(false);
        above_ += work;
        if (above_ >= kWorkPerTask) advance();
        return !failed_ && !stream_.stopped();
    }

    bool emit(const uint8_t* row, int64_t multiplicity) {
        rows_.insert(rows_.end(), row, row + row_size_);
        multiplicities_.push_back(multiplicity);
        return rows_.size() + row_size_ <= Stream::kPart || hand_over(false);
    }

    // The whole tree has been walked.
    void end() {
        if (task_ == claimed_) hand_over(true);
        stream_.leave(failed_ || stream_.stopped() ? -1 : task_ + 1);
    }

   private:
    void advance() {
        if (task_ == claimed_) {
            hand_over(true);
            claimed_ = stream_.claim();
        }
        ++task_;
        ways_ = 0.0;
        above_ = work_ = 0;
    }

    bool hand_over(bool ends_task) {
        Part part;
        part.work = work_;
        part.ends_task = ends_task;
        work_ = 0;
        if (rows_.size() > Stream::kPart / 2) {
            part.rows = std::move(rows_);
            rows_ = stream_.buffer();
        } else {  // a part that waits takes no more memory than it needs
            part.rows = rows_;
            rows_.clear();
        }
        part.multiplicities = multiplicities_;
        multiplicities_.clear();
        if (!stream_.put(task_, std::move(part))) failed_ = true;
        return !failed_;
    }

    Stream& stream_;
    const size_t row_size_;
    int64_t task_ = 0, claimed_;
    double ways_ = 0.0;
    uint64_t above_ = 0, work_ = 0;
    bool inside_ = false, failed_ = false;
    std::vector<uint8_t> rows_;
    std::vector<int64_t> multiplicities_;
};

}  // namespace halion
