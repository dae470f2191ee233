/* The most single-precision arithmetic that this machine's cores do: independent fused multiply-adds in registers.
   Built by engine.py with the machine's own C compiler: cc -O3 -march=native -shared -fPIC. One call runs one
   thread; n rounds of 24 vectors of 16 floats, 2 operations each, so 768 n operations. */
typedef float vec __attribute__((vector_size(64)));

float fma_rounds(long n) {
    vec sum[24];
    for (int k = 0; k < 24; k++)
        for (int lane = 0; lane < 16; lane++) sum[k][lane] = (float)(k + lane);
    vec a, b;
    for (int lane = 0; lane < 16; lane++) a[lane] = 0.999999f, b[lane] = 1e-7f * (float)lane;
    for (long round = 0; round < n; round++) {
        __asm__ volatile("" : "+x"(a), "+x"(b)); /* keeps the loop a loop */
#pragma GCC unroll 24
        for (int k = 0; k < 24; k++) sum[k] = sum[k] * a + b;
    }
    float total = 0;
    for (int k = 0; k < 24; k++)
        for (int lane = 0; lane < 16; lane++) total += sum[k][lane];
    return total;
}
