// What one gated block of the network works on: rows (directed edges, or angles), each the sum of one row of three
// tables. Every array holds values first and their change along a direction after them, (2, n, width). Plain arrays,
// no owner; aligned to 64 bytes.
#pragma once

#include <cstdint>

namespace halion {

struct Table {
    const float* values = nullptr;
    long rows = 0;
    const int64_t* place[2] = {};  // row of the table for each row of the block; the second where a product has two
};

struct Block {
    long n_rows = 0;
    Table table[3];                 // width 128: summed into the first layer
    const float* dense = nullptr;   // (2, n_rows, 128), added to that; or none
    const float* second = nullptr;  // (2, 64, 64): second layer of core and gate, outputs x inputs; or none
    const float* bias2 = nullptr;   // 128
    const float *scale = nullptr, *shift = nullptr;  // 128 each
    Table weight;                   // width 64: multiplies the messages, once or twice; or none
    const int64_t* out_place = nullptr;  // row of the sums for each row; none: the row itself
    long out_rows = 0;
};

// Where results are added.
struct Gradients {
    float *table[3] = {}, *dense = nullptr, *second = nullptr, *bias2 = nullptr, *scale = nullptr, *shift = nullptr,
          *weight = nullptr;
};

struct BlockKernels {
    const char* name;
    // Rows begin ... end; `out` (2, out_rows, 64) is added to.
    void (*forward)(const Block& block, long begin, long end, float* out);
    // From the gradient of out; everything of `into` that is not null is added to, except dense, which is written.
    void (*backward)(const Block& block, long begin, long end, const float* out_grad, const Gradients& into);
};

}  // namespace halion
