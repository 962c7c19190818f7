/* The floor under a fan-out: AES-128-GCM and sendmmsg to many addresses, and nothing else.
 *
 * Every listener has a cipher context of its own, as it has keys of its own. For each packet the
 * header and payload are copied, the sequence number is set, the packet is encrypted in place with
 * its header as additional data (RFC 7714), and whole batches go to the kernel.
 *
 * With more than one segment, as many packets for one listener leave in one send, which the kernel
 * cuts (UDP_SEGMENT).
 *
 * Ports are read from standard input, one a line. Prints "<packets> <cpu microseconds>".
 *
 * libcrypto is found by name at run time and its few functions are declared here, so that neither
 * its headers nor a particular version are needed. With the library that the SRTP binding has built
 * in, both sides of the comparison run the same cipher; loading that needs one object of Python's,
 * which is never used.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

char _Py_NoneStruct[64];

#ifndef SOL_UDP
#define SOL_UDP 17
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum {
    SEGMENTS_MAX = 8,
    CONTROL_BYTES = 32,
    KEY_BYTES = 16,
    IV_BYTES = 12,
    TAG_BYTES = 16,
    PACKET_BYTES_MAX = 1500,
    CALL_MAX = 1024, /* more in one sendmmsg is refused */
    LISTENERS_MAX = 65536,
    CTRL_GET_TAG = 0x10, /* EVP_CTRL_AEAD_GET_TAG, the same in every version */
};

static void *(*context_new)(void);
static const void *(*aes_128_gcm)(void);
static int (*encrypt_init)(void *, const void *, void *, const uint8_t *, const uint8_t *);
static int (*encrypt_update)(void *, uint8_t *, int *, const uint8_t *, int);
static int (*encrypt_final)(void *, uint8_t *, int *);
static int (*context_ctrl)(void *, int, int, void *);

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static void *symbol(void *library, const char *name)
{
    void *found = dlsym(library, name);
    if (!found)
        fail(name, "not in this libcrypto");
    return found;
}

static void load_cipher(const char *path)
{
    void *library = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
    if (!library)
        fail("libcrypto", dlerror());
    *(void **)&context_new = symbol(library, "EVP_CIPHER_CTX_new");
    *(void **)&aes_128_gcm = symbol(library, "EVP_aes_128_gcm");
    *(void **)&encrypt_init = symbol(library, "EVP_EncryptInit_ex");
    *(void **)&encrypt_update = symbol(library, "EVP_EncryptUpdate");
    *(void **)&encrypt_final = symbol(library, "EVP_EncryptFinal_ex");
    *(void **)&context_ctrl = symbol(library, "EVP_CIPHER_CTX_ctrl");
}

struct listener {
    void *context;
    struct sockaddr_in address;
};

struct batch {
    int capacity, count, socket;
    int stride; /* bytes of one message, in whole cache lines */
    uint8_t *memory;
    uint8_t (*controls)[CONTROL_BYTES];
    struct mmsghdr *messages;
    struct iovec *vectors;
};

static struct listener listeners[LISTENERS_MAX];

static int read_listeners(void)
{
    uint8_t key[KEY_BYTES] = {1};
    unsigned port;
    int count = 0;
    while (count < LISTENERS_MAX && scanf("%u", &port) == 1) {
        struct listener *one = &listeners[count++];
        one->address.sin_family = AF_INET;
        one->address.sin_port = htons((uint16_t)port);
        one->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        memcpy(key + 4, &count, sizeof count);
        one->context = context_new();
        if (!one->context || !encrypt_init(one->context, aes_128_gcm(), NULL, key, NULL))
            fail("cipher", "cannot be set up");
    }
    return count;
}

static struct batch open_batch(int capacity, int message_bytes)
{
    struct batch batch = {.capacity = capacity, .stride = (message_bytes + 63) / 64 * 64};
    batch.socket = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    batch.memory = calloc(capacity, batch.stride);
    batch.controls = calloc(capacity, CONTROL_BYTES);
    batch.messages = calloc(capacity, sizeof *batch.messages);
    batch.vectors = calloc(capacity, sizeof *batch.vectors);
    if (batch.socket < 0 || !batch.memory || !batch.controls || !batch.messages || !batch.vectors)
        fail("setup", strerror(errno));
    return batch;
}

static void flush(struct batch *batch)
{
    int done = 0;
    while (done < batch->count) {
        int sent = sendmmsg(batch->socket, batch->messages + done, batch->count - done, 0);
        if (sent <= 0)
            fail("sendmmsg", strerror(errno));
        done += sent;
    }
    batch->count = 0;
}

static void protect(void *context, uint8_t *packet, int header, int payload, uint32_t number)
{
    uint8_t iv[IV_BYTES] = {0};
    int length;
    memcpy(iv + 8, &number, sizeof number);
    if (!encrypt_init(context, NULL, NULL, NULL, iv)
        || !encrypt_update(context, NULL, &length, packet, header)
        || !encrypt_update(context, packet + header, &length, packet + header, payload)
        || !encrypt_final(context, packet + header + payload, &length)
        || !context_ctrl(context, CTRL_GET_TAG, TAG_BYTES, packet + header + payload))
        fail("cipher", "failed");
}

static void ask_for_segments(struct msghdr *message, uint8_t *control, uint16_t size)
{
    message->msg_control = control;
    message->msg_controllen = CMSG_SPACE(sizeof size);
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    header->cmsg_level = SOL_UDP;
    header->cmsg_type = UDP_SEGMENT;
    header->cmsg_len = CMSG_LEN(sizeof size);
    memcpy(CMSG_DATA(header), &size, sizeof size);
}

static double cpu_us(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6
        + used.ru_utime.tv_usec + used.ru_stime.tv_usec;
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
    static uint8_t template[PACKET_BYTES_MAX] = {0x91};
    if (argc != 8)
        fail("usage",
            "floor <libcrypto> <batch> <header> <payload> <seconds> <all|cipher|send> <segments>");
    load_cipher(argv[1]);
    int capacity = atoi(argv[2]), header = atoi(argv[3]), payload = atoi(argv[4]);
    double seconds = atof(argv[5]);
    int ciphers = strcmp(argv[6], "send") != 0, sends = strcmp(argv[6], "cipher") != 0;
    int segments = atoi(argv[7]), total = header + payload + TAG_BYTES;
    if (capacity < 1 || capacity > CALL_MAX || header < 4 || payload < 1 || total > PACKET_BYTES_MAX
        || segments < 1 || segments > SEGMENTS_MAX)
        fail("usage", "batch, header, payload or segments out of range");
    int count = read_listeners();
    if (count == 0)
        fail("usage", "no ports on standard input");
    struct batch batch = open_batch(capacity, segments * total);
    uint64_t packets = 0;
    uint32_t number = 0;
    double started = now_s(), before = cpu_us();
    do {
        for (int index = 0; index < count; index++) {
            uint8_t *start = batch.memory + (size_t)batch.count * batch.stride, *packet = start;
            struct msghdr *message = &batch.messages[batch.count].msg_hdr;
            for (int segment = 0; segment < segments; segment++, packet += total) {
                uint32_t own = number + segment;
                memcpy(packet, template, header + payload);
                packet[2] = (uint8_t)(own >> 8);
                packet[3] = (uint8_t)own;
                if (ciphers)
                    protect(listeners[index].context, packet, header, payload, own);
            }
            batch.vectors[batch.count] = (struct iovec){start, segments * total};
            message->msg_name = &listeners[index].address;
            message->msg_namelen = sizeof listeners[index].address;
            message->msg_iov = &batch.vectors[batch.count];
            message->msg_iovlen = 1;
            if (segments > 1)
                ask_for_segments(message, batch.controls[batch.count], total);
            if (++batch.count == batch.capacity) {
                if (sends)
                    flush(&batch);
                batch.count = 0;
            }
        }
        if (sends)
            flush(&batch);
        batch.count = 0;
        packets += (uint64_t)count * segments;
        number += segments;
    } while (now_s() - started < seconds);
    printf("%llu %.0f\n", (unsigned long long)packets, cpu_us() - before);
    return 0;
}
