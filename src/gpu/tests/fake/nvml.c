/* A driver's library for tests: two GPUs that are as the first word of the file CONTROL says at each call.
 * Functions, structures and numbers are those of NVIDIA's nvml.h. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { OK = 0, UNINITIALIZED = 1, NOT_SUPPORTED = 3, NO_PERMISSION = 4, INSUFFICIENT_SIZE = 7, NOT_LOADED = 9,
       TIMEOUT = 10, LOST = 15, MISMATCH = 18 };

typedef struct { unsigned index; } Device;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } Memory;
typedef struct { unsigned gpu, memory; } Utilization;
typedef struct { unsigned pid; unsigned long long bytes; unsigned gpu_instance, compute_instance; } Process;
typedef struct { Device *device; unsigned long long type, data; unsigned gpu_instance, compute_instance; } Event;
typedef struct { Device *device; int pending; } Set;

static Device devices[2] = {{0}, {1}};
static Set sets[16];
static unsigned used_sets;

static int is(const char *word) {
    char text[32] = "";
    FILE *file = fopen(CONTROL, "r");
    if (file) {
        if (fscanf(file, "%31s", text) != 1) text[0] = 0;
        fclose(file);
    }
    return strcmp(text, word) == 0;
}

/* Every call begins with it. */
static int call(void) {
    while (is("hang")) usleep(5000);
    return is("unloaded") ? UNINITIALIZED : OK;
}

#define CALL() do { int code = call(); if (code) return code; } while (0)

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    call();
    used_sets = 0;
    return is("unloaded") ? NOT_LOADED : is("denied") ? NO_PERMISSION : is("mismatch") ? MISMATCH : OK;
}
int nvmlShutdown(void) { return OK; }
int nvmlSystemGetDriverVersion(char *text, unsigned length) { CALL(); snprintf(text, length, "580.82.07"); return OK; }
int nvmlSystemGetCudaDriverVersion_v2(int *version) { CALL(); *version = 13000; return OK; }
int nvmlDeviceGetCount_v2(unsigned *count) { CALL(); *count = is("none") ? 0 : 2; return OK; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, Device **device) {
    CALL();
    if (index == 1 && is("lost")) return LOST;
    *device = &devices[index];
    return OK;
}
int nvmlDeviceGetUUID(Device *device, char *text, unsigned length) {
    CALL();
    snprintf(text, length, "GPU-0000000%u-1111-2222-3333-444444444444", device->index);
    return OK;
}
int nvmlDeviceGetName(Device *device, char *text, unsigned length) {
    (void)device;
    CALL();
    snprintf(text, length, "NVIDIA GeForce RTX 4090");
    return OK;
}
int nvmlDeviceGetMemoryInfo_v2(Device *device, Memory *memory) {
    CALL();
    memory->total = 24ull << 30;
    memory->used = device->index ? 0 : 6ull << 30;
    return OK;
}
int nvmlDeviceGetUtilizationRates(Device *device, Utilization *rates) {
    CALL();
    rates->gpu = device->index ? 0 : 90;
    return OK;
}
int nvmlDeviceGetTemperature(Device *device, int sensor, unsigned *degrees) {
    (void)sensor;
    CALL();
    *degrees = 60 + device->index;
    return OK;
}
/* The second GPU has no ECC. */
int nvmlDeviceGetTotalEccErrors(Device *device, int error, int counter, unsigned long long *count) {
    CALL();
    if (device->index) return NOT_SUPPORTED;
    /* Uncorrected ones, since the driver was loaded. */
    *count = error == 1 && counter == 0 ? 3 : 99;
    return OK;
}
int nvmlDeviceGetComputeRunningProcesses_v3(Device *device, unsigned *count, Process *processes) {
    CALL();
    unsigned running = device->index ? 0 : 2, room = *count;
    *count = running;
    if (running > room) return INSUFFICIENT_SIZE;
    if (running) {
        processes[0] = (Process){.pid = 4242, .bytes = 5ull << 30};
        /* The driver does not know. */
        processes[1] = (Process){.pid = 4243, .bytes = ~0ull};
    }
    return OK;
}
int nvmlEventSetCreate(Set **set) { CALL(); *set = &sets[used_sets++ % 16]; return OK; }
int nvmlEventSetFree(Set *set) { (void)set; return OK; }
int nvmlDeviceRegisterEvents(Device *device, unsigned long long types, Set *set) {
    (void)types;
    CALL();
    *set = (Set){.device = device, .pending = device->index ? 0 : 2};
    return OK;
}
int nvmlEventSetWait_v2(Set *set, Event *event, unsigned milliseconds) {
    (void)milliseconds;
    CALL();
    if (!set->pending) return TIMEOUT;
    *event = (Event){.device = set->device, .type = 8, .data = set->pending-- == 2 ? 31 : 79};
    return OK;
}
