// A fixed team of threads that all run one function together, with a barrier between its phases. A team belongs to
// one engine: engines in different threads do not meet. (OpenMP's teams are shared by a process, do not survive a
// fork, and are missing from Apple's compiler.)
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace halion {

// Threads spin for a while, since phases are some 100 microseconds long, then let others run.
class Barrier {
   public:
    explicit Barrier(int n) : n_(n) {}
    void wait() {
        if (n_ == 1) return;
        const int phase = phase_.load(std::memory_order_relaxed);
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == n_) {
            arrived_.store(0, std::memory_order_relaxed);
            phase_.store(phase + 1, std::memory_order_release);
            return;
        }
        for (int spins = 0; phase_.load(std::memory_order_acquire) == phase; ++spins)
            if (spins > kSpins) std::this_thread::yield();
    }

   private:
    static constexpr int kSpins = 4000;
    const int n_;
    alignas(64) std::atomic<int> arrived_{0};
    alignas(64) std::atomic<int> phase_{0};
};

class Team {
   public:
    explicit Team(int n) : barrier_(n), n_(n) {
        for (int thread = 1; thread < n; ++thread) workers_.emplace_back([this, thread] { work(thread); });
    }
    ~Team() {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            stop_ = true;
            ++task_;
        }
        wake_.notify_all();
        for (std::thread& worker : workers_) worker.join();
    }

    int size() const { return n_; }
    Barrier& barrier() { return barrier_; }

    // Runs what(thread) on all threads, the caller being thread 0; returns when all are done. `what` ends with a
    // barrier of its own, and throws nothing.
    void run(const std::function<void(int)>& what) {
        if (n_ > 1) {
            const std::lock_guard<std::mutex> lock(mutex_);
            what_ = &what;
            ++task_;
        }
        wake_.notify_all();
        what(0);
        barrier_.wait();
    }

   private:
    void work(int thread) {
        for (long done = 0;;) {
            const std::function<void(int)>* what = nullptr;
            for (int spins = 0; spins < kSpins && task_.load(std::memory_order_acquire) == done; ++spins) {}
            {
                std::unique_lock<std::mutex> lock(mutex_);
                wake_.wait(lock, [&] { return task_.load() != done; });
                if (stop_) return;
                done = task_.load();
                what = what_;
            }
            (*what)(thread);
            barrier_.wait();
        }
    }

    static constexpr int kSpins = 20000;
    Barrier barrier_;
    const int n_;
    std::vector<std::thread> workers_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::atomic<long> task_{0};
    const std::function<void(int)>* what_ = nullptr;
    bool stop_ = false;
};

}  // namespace halion
