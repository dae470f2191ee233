// A grow-only array aligned to cache lines; its contents are not kept when it grows.
#pragma once

#include <cstddef>
#include <new>

namespace halion {

template <class T>
class Buffer {
   public:
    Buffer() = default;
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    Buffer(Buffer&& other) noexcept : data_(other.data_), capacity_(other.capacity_) {
        other.data_ = nullptr;
        other.capacity_ = 0;
    }
    ~Buffer() { release(); }

    // Room for n values. A tenth more is taken, so that a run of slowly growing graphs does not reallocate.
    T* reserve(size_t n) {
        if (n > capacity_) {
            release();
            const size_t capacity = n + n / 10 + 16;
            data_ = static_cast<T*>(::operator new(capacity * sizeof(T), std::align_val_t(64)));
            capacity_ = capacity;
        }
        return data_;
    }
    T* data() const { return data_; }
    size_t bytes() const { return capacity_ * sizeof(T); }

   private:
    void release() {
        if (data_) ::operator delete(data_, std::align_val_t(64));
        data_ = nullptr;
        capacity_ = 0;
    }
    T* data_ = nullptr;
    size_t capacity_ = 0;
};

}  // namespace halion
