// A fixed team of threads that run one function together. A team belongs to one engine: engines in different threads
// do not meet. (OpenMP's teams are shared by a process, do not survive a fork, and are missing from Apple's compiler.)
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>
#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace halion {

// What a thread does while it waits for others: stays ready for some 10 microseconds, then lets others run.
inline void relax(long spins) {
    constexpr long kReady = 2000;
    if (spins > kReady) std::this_thread::yield();
#if defined(__x86_64__)
    else __builtin_ia32_pause();
#endif
}

// A number of the process; it changes in a child made by fork, where the team's threads do not exist.
inline long process_id() {
#if defined(__unix__) || defined(__APPLE__)
    return static_cast<long>(getpid());
#else
    return 0;
#endif
}

class Team {
   public:
    explicit Team(int n) : n_(n) {
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
    bool is_of_this_process() const { return process_ == process_id(); }

    // Runs what(thread) on the caller, as thread 0, and on those of the team that come before it is done; returns
    // when nobody is in it any more. `what` throws nothing.
    void run(const std::function<void(int)>& what) {
        if (n_ == 1) return what(0);
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            what_ = &what;
            ++task_;
        }
        wake_.notify_all();
        what(0);
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            what_ = nullptr;
        }
        for (long spins = 0; inside_.load(std::memory_order_acquire) > 0; ++spins) relax(spins);
    }

   private:
    void work(int thread) {
        for (long seen = 0;;) {
            // The next task often comes soon, after an integrator's step.
            for (int spins = 0; spins < kSpins && task_.load(std::memory_order_relaxed) == seen; ++spins) relax(0);
            const std::function<void(int)>* what = nullptr;
            {
                std::unique_lock<std::mutex> lock(mutex_);
                wake_.wait(lock, [&] { return task_.load() != seen; });
                if (stop_) return;
                seen = task_.load();
                what = what_;
                if (what) inside_.fetch_add(1, std::memory_order_relaxed);
            }
            if (!what) continue;
            (*what)(thread);
            inside_.fetch_sub(1, std::memory_order_release);
        }
    }

    static constexpr int kSpins = 1000;
    const int n_;
    const long process_ = process_id();
    std::vector<std::thread> workers_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::atomic<long> task_{0};
    std::atomic<int> inside_{0};
    const std::function<void(int)>* what_ = nullptr;
    bool stop_ = false;
};

}  // namespace halion
