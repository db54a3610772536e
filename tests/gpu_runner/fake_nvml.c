/* A stand-in for libnvidia-ml.so.1: enough of NVML for the real pynvml, driven by a text file.
 *
 * FAKE_NVML_STATE names the file; it is read again at every call, so a test changes the machine by
 * writing it. Lines:
 *
 *   driver 570.86.15            cuda 12080            init 9        (error code of nvmlInit)
 *   delay 20                    (milliseconds every call takes)
 *   error FUNCTION CODE         (that function fails on every GPU)
 *   gpu N KEY VALUE             (N is 0, 1, ... or 0/1 for a MIG device)
 *   gpu N error FUNCTION CODE
 *   gpu N proc PID MIB          (memory held, and a compute process, while that pid lives)
 *   gpu N hidden PID MIB        (memory held while that pid lives, but no process is listed)
 *
 * A GPU exists when it has a uuid. A key that is missing is NVML_ERROR_NOT_SUPPORTED, as on real
 * hardware. A killed but unreaped process still counts, as in the driver.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OK 0
#define NOT_SUPPORTED 3
#define NOT_FOUND 6
#define INSUFFICIENT_SIZE 7
#define MIB 1048576ULL

typedef void *dev;
typedef struct { unsigned pid; unsigned long long used; unsigned gi, ci; } proc_t;

static FILE *state(void) {
    const char *path = getenv("FAKE_NVML_STATE");
    return path ? fopen(path, "r") : NULL;
}

static const char *label(dev d, char out[16]) {
    uintptr_t n = (uintptr_t)d - 1;
    if (n >= 1000) snprintf(out, 16, "%d/%d", (int)((n - 1000) / 16), (int)((n - 1000) % 16));
    else snprintf(out, 16, "%d", (int)n);
    return out;
}

/* the value of `gpu LABEL KEY`, or of `KEY` when label is NULL; the last line wins; 0 when absent */
static int lookup(const char *gpu, const char *key, char *value, size_t size) {
    FILE *f = state();
    char line[512], a[64], b[64], c[64], rest[256];
    int found = 0;
    if (!f) return 0;
    while (fgets(line, sizeof line, f)) {
        rest[0] = 0;
        if (gpu) {
            if (sscanf(line, "%63s %63s %63s %255[^\n]", a, b, c, rest) < 4) continue;
            if (strcmp(a, "gpu") || strcmp(b, gpu) || strcmp(c, key)) continue;
        } else {
            if (sscanf(line, "%63s %255[^\n]", a, rest) < 2) continue;
            if (strcmp(a, key)) continue;
        }
        snprintf(value, size, "%s", rest);
        found = 1;
    }
    fclose(f);
    return found;
}

static int injected(dev d, const char *function) {
    FILE *f = state();
    char line[512], a[64], b[64], c[64], name[128], gpu[16];
    int code, result = OK, ms = 0;
    if (!f) return 9;
    if (d) label(d, gpu);
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "delay %d", &ms) == 1) continue;
        if (sscanf(line, "error %127s %d", name, &code) == 2 && !strcmp(name, function)) result = code;
        if (d && sscanf(line, "%63s %63s %63s %127s %d", a, b, c, name, &code) == 5 && !strcmp(a, "gpu") &&
            !strcmp(b, gpu) && !strcmp(c, "error") && (!strcmp(name, function) || !strcmp(name, "*")))
            result = code;
    }
    fclose(f);
    if (ms) usleep(ms * 1000);
    return result;
}

static int number(dev d, const char *function, const char *key, unsigned long long *out) {
    char text[256], gpu[16];
    int code = injected(d, function);
    if (code) return code;
    if (!lookup(label(d, gpu), key, text, sizeof text)) return NOT_SUPPORTED;
    *out = strtoull(text, NULL, 10);
    return OK;
}

static int number32(dev d, const char *function, const char *key, unsigned *out) {
    unsigned long long wide;
    int code = number(d, function, key, &wide);
    if (!code) *out = (unsigned)wide;
    return code;
}

static int text(dev d, const char *function, const char *key, char *out, unsigned size) {
    char gpu[16];
    int code = injected(d, function);
    if (code) return code;
    return lookup(label(d, gpu), key, out, size) ? OK : NOT_SUPPORTED;
}

/* live holders of memory; listed ones go to `procs`; returns their number, adds all memory to *mib */
static unsigned holders(dev d, proc_t *procs, unsigned room, unsigned long long *mib) {
    FILE *f = state();
    char line[512], a[64], b[64], c[64], gpu[16];
    int pid;
    unsigned n = 0;
    unsigned long long held;
    if (!f) return 0;
    label(d, gpu);
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "%63s %63s %63s %d %llu", a, b, c, &pid, &held) != 5) continue;
        if (strcmp(a, "gpu") || strcmp(b, gpu)) continue;
        if (strcmp(c, "proc") && strcmp(c, "hidden")) continue;
        if (kill(pid, 0) && errno == ESRCH) continue;
        *mib += held;
        if (!strcmp(c, "hidden")) continue;
        if (procs && n < room) procs[n] = (proc_t){(unsigned)pid, held * MIB, ~0u, ~0u};
        n++;
    }
    fclose(f);
    return n;
}

static int memory(dev d, const char *function, unsigned long long *total, unsigned long long *reserved,
                  unsigned long long *used) {
    unsigned long long held = 0, base = 0;
    int code = number(d, function, "total", total);
    if (code) return code;
    if (number(d, function, "reserved", reserved)) *reserved = 0;
    if (number(d, function, "used", &base)) base = 0;
    holders(d, NULL, 0, &held);
    *total *= MIB;
    *reserved *= MIB;
    *used = (base + held) * MIB;
    return OK;
}

static int processes(dev d, const char *function, unsigned *count, proc_t *procs) {
    unsigned long long held = 0;
    unsigned room = procs ? *count : 0, n;
    int code = injected(d, function);
    if (code) return code;
    n = holders(d, procs, room, &held);
    *count = n;
    return n > room ? INSUFFICIENT_SIZE : OK;
}

int nvmlInitWithFlags(unsigned flags) {
    char v[64];
    FILE *f = state();
    (void)flags;
    if (!f) return 9;
    fclose(f);
    return lookup(NULL, "init", v, sizeof v) ? atoi(v) : OK;
}
int nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(int code) {
    return code == 9 ? "Driver Not Loaded" : code == 15 ? "GPU is lost" : code == 3 ? "Not Supported" : "fake error";
}

int nvmlSystemGetDriverVersion(char *out, unsigned n) {
    int code = injected(NULL, "nvmlSystemGetDriverVersion");
    return code ? code : lookup(NULL, "driver", out, n) ? OK : NOT_SUPPORTED;
}
int nvmlSystemGetNVMLVersion(char *out, unsigned n) { snprintf(out, n, "12.fake"); return OK; }
int nvmlSystemGetCudaDriverVersion_v2(int *out) {
    char v[64];
    if (!lookup(NULL, "cuda", v, sizeof v)) return NOT_SUPPORTED;
    *out = atoi(v);
    return OK;
}

int nvmlDeviceGetCount_v2(unsigned *count) {
    char v[256], gpu[16];
    int code = injected(NULL, "nvmlDeviceGetCount_v2");
    if (code) return code;
    for (*count = 0; *count < 64; ++*count) {
        snprintf(gpu, sizeof gpu, "%u", *count);
        if (!lookup(gpu, "uuid", v, sizeof v)) break;
    }
    return OK;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, dev *out) {
    unsigned count;
    int code = nvmlDeviceGetCount_v2(&count);
    if (code) return code;
    if (index >= count) return 2;
    *out = (dev)(uintptr_t)(index + 1);
    return injected(*out, "nvmlDeviceGetHandleByIndex_v2");
}
int nvmlDeviceGetHandleByUUID(const char *uuid, dev *out) {
    char v[256];
    unsigned i, count;
    int code = nvmlDeviceGetCount_v2(&count);
    for (i = 0; !code && i < count; i++) {
        dev d = (dev)(uintptr_t)(i + 1);
        char gpu[16];
        if (!lookup(label(d, gpu), "uuid", v, sizeof v) || strcmp(v, uuid)) continue;
        *out = d;
        return OK;
    }
    return code ? code : NOT_FOUND;
}
int nvmlDeviceGetUUID(dev d, char *o, unsigned n) { return text(d, "nvmlDeviceGetUUID", "uuid", o, n); }
int nvmlDeviceGetName(dev d, char *o, unsigned n) { return text(d, "nvmlDeviceGetName", "name", o, n); }

int nvmlDeviceGetPciInfo_v3(dev d, void *info) {
    char bus[64];
    int code = text(d, "nvmlDeviceGetPciInfo_v3", "pci", bus, sizeof bus);
    if (code) return code;
    memset(info, 0, 68);
    snprintf((char *)info + 36, 32, "%.31s", bus); /* busId follows the legacy id and five integers */
    return OK;
}

int nvmlDeviceGetMemoryInfo(dev d, unsigned long long *m) { /* total, free, used; used includes reserved */
    unsigned long long reserved, used;
    int code = memory(d, "nvmlDeviceGetMemoryInfo", &m[0], &reserved, &used);
    if (code) return code;
    m[2] = used + reserved;
    m[1] = m[0] - m[2];
    return OK;
}
int nvmlDeviceGetMemoryInfo_v2(dev d, unsigned long long *m) { /* version, total, reserved, free, used */
    int code = memory(d, "nvmlDeviceGetMemoryInfo_v2", &m[1], &m[2], &m[4]);
    if (code) return code;
    m[3] = m[1] - m[2] - m[4];
    return OK;
}
int nvmlDeviceGetComputeRunningProcesses_v3(dev d, unsigned *n, proc_t *p) {
    return processes(d, "nvmlDeviceGetComputeRunningProcesses_v3", n, p);
}
int nvmlDeviceGetComputeRunningProcesses_v2(dev d, unsigned *n, proc_t *p) {
    return processes(d, "nvmlDeviceGetComputeRunningProcesses_v2", n, p);
}

int nvmlDeviceGetUtilizationRates(dev d, unsigned *u) {
    u[1] = 0;
    return number32(d, "nvmlDeviceGetUtilizationRates", "util", &u[0]);
}
int nvmlDeviceGetTemperature(dev d, unsigned s, unsigned *t) {
    (void)s;
    return number32(d, "nvmlDeviceGetTemperature", "temp", t);
}
int nvmlDeviceGetTemperatureV(dev d, unsigned *t) { /* version, sensor, temperature */
    return number32(d, "nvmlDeviceGetTemperatureV", "temp", &t[2]);
}
int nvmlDeviceGetPowerUsage(dev d, unsigned *p) { return number32(d, "nvmlDeviceGetPowerUsage", "power", p); }
int nvmlDeviceGetEnforcedPowerLimit(dev d, unsigned *p) {
    return number32(d, "nvmlDeviceGetEnforcedPowerLimit", "limit", p);
}
int nvmlDeviceGetTotalEnergyConsumption(dev d, unsigned long long *e) {
    return number(d, "nvmlDeviceGetTotalEnergyConsumption", "energy", e);
}
int nvmlDeviceGetClockInfo(dev d, unsigned type, unsigned *mhz) {
    return number32(d, "nvmlDeviceGetClockInfo", type == 1 ? "sm" : type == 2 ? "mem" : "graphics", mhz);
}
int nvmlDeviceGetMaxClockInfo(dev d, unsigned type, unsigned *mhz) {
    return number32(d, "nvmlDeviceGetMaxClockInfo", type == 1 ? "maxsm" : "maxmem", mhz);
}
int nvmlDeviceGetCurrentClocksEventReasons(dev d, unsigned long long *r) {
    return number(d, "nvmlDeviceGetCurrentClocksEventReasons", "throttle", r);
}
int nvmlDeviceGetCurrentClocksThrottleReasons(dev d, unsigned long long *r) {
    return number(d, "nvmlDeviceGetCurrentClocksThrottleReasons", "throttle", r);
}
int nvmlDeviceGetTotalEccErrors(dev d, unsigned kind, unsigned counter, unsigned long long *n) {
    (void)counter;
    return number(d, "nvmlDeviceGetTotalEccErrors", kind == 1 ? "ecc_uncorrected" : "ecc_corrected", n);
}
int nvmlDeviceGetEccMode(dev d, unsigned *now, unsigned *pending) {
    int code = number32(d, "nvmlDeviceGetEccMode", "ecc", now);
    if (!code) *pending = *now;
    return code;
}
int nvmlDeviceGetCurrPcieLinkGeneration(dev d, unsigned *v) {
    return number32(d, "nvmlDeviceGetCurrPcieLinkGeneration", "pcie_gen", v);
}
int nvmlDeviceGetCurrPcieLinkWidth(dev d, unsigned *v) {
    return number32(d, "nvmlDeviceGetCurrPcieLinkWidth", "pcie_width", v);
}
int nvmlDeviceGetPersistenceMode(dev d, unsigned *v) {
    return number32(d, "nvmlDeviceGetPersistenceMode", "persistence", v);
}
int nvmlDeviceGetCudaComputeCapability(dev d, int *major, int *minor) {
    unsigned v;
    int code = number32(d, "nvmlDeviceGetCudaComputeCapability", "capability", &v);
    if (!code) { *major = v / 10; *minor = v % 10; }
    return code;
}
int nvmlDeviceGetMigMode(dev d, unsigned *now, unsigned *pending) {
    int code = number32(d, "nvmlDeviceGetMigMode", "mig", now);
    if (!code) *pending = *now;
    return code;
}
int nvmlDeviceGetMaxMigDeviceCount(dev d, unsigned *n) { (void)d; *n = 7; return OK; }
int nvmlDeviceGetMigDeviceHandleByIndex(dev d, unsigned index, dev *out) {
    char v[256], gpu[16];
    dev mig = (dev)(uintptr_t)(1000 + ((uintptr_t)d - 1) * 16 + index + 1);
    if (!lookup(label(mig, gpu), "uuid", v, sizeof v)) return NOT_FOUND;
    *out = mig;
    return OK;
}
