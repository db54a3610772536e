/* A stand-in for libcuda.so.1: an allocation is a line in the machine file of fake_nvml.c, held while we live. */
#include <stdio.h>
#include <stdlib.h>
#include <stdint.h>
#include <unistd.h>

int cuInit(unsigned flags) { (void)flags; return getenv("FAKE_NVML_STATE") ? 0 : 100; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return 0; }
int cuDevicePrimaryCtxRetain(void **context, int device) { (void)device; *context = (void *)1; return 0; }
int cuCtxSetCurrent(void *context) { return context ? 0 : 1; }
int cuCtxSynchronize(void) { usleep(1000); return 0; }
int cuMemAlloc_v2(uint64_t *pointer, size_t bytes) {
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    FILE *f = fopen(getenv("FAKE_NVML_STATE"), "a");
    if (!f || !visible) return 2;
    fprintf(f, "gpu %d proc %d %zu\n", atoi(visible), (int)getpid(), bytes >> 20);
    fclose(f);
    *pointer = 1;
    return 0;
}
int cuMemsetD32_v2(uint64_t pointer, unsigned value, size_t words) {
    static int calls; /* the first one only touches the memory; going on is load */
    (void)value;
    if (++calls == 2) {
        FILE *f = fopen(getenv("FAKE_NVML_STATE"), "a");
        if (!f) return 2;
        fprintf(f, "gpu %d power 300000\n", atoi(getenv("CUDA_VISIBLE_DEVICES")));
        fclose(f);
    }
    return pointer && words ? 0 : 1;
}
