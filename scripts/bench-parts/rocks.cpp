// The RocksDB side of `scripts/bench engine`: the same phases, keys, values and threads as Sources/valk-engine-bench,
// and one line of JSON for each phase. Default options but for the block cache (which gets the memory budget without
// two write buffers), and what --blob and --filter ask for. The write-ahead log is on and not synced.

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

struct Settings {
    std::string dir, phases = "fill,hit,miss,seek,overwrite";
    uint64_t keys = 1000000, reads = 0, seeks = 0, passes = 1, interval = 60, patience = 300;  // the last two: seconds
    size_t value = 100, memory = 512ull << 20;
    unsigned threads = 1;
    bool blob = false, filter = false;
};

static Settings settings;
static rocksdb::DB *db;
static std::vector<char> pool;
static std::atomic<uint64_t> done{0};

static void check(const rocksdb::Status &status) {
    if (status.ok()) return;
    fprintf(stderr, "rocksdb: %s\n", status.ToString().c_str());
    exit(1);
}

// A bijection: numbers become keys in random order, and numbers from `keys` on are never written.
static uint64_t mix(uint64_t x) {
    x += 0x9E3779B97F4A7C15ull;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
    return x ^ (x >> 31);
}

static void make_key(uint64_t number, char *key) {
    static const char digits[] = "0123456789abcdef";
    uint64_t mixed = mix(number);
    for (int i = 0; i < 16; i++) key[i] = digits[mixed >> (60 - 4 * i) & 15];
}

// The number in front, then bytes that do not compress.
static void make_value(uint64_t number, uint64_t pass, char *value) {
    size_t at = mix(number * 31 + pass) % ((4 << 20) - 8);
    memcpy(value, pool.data() + at, settings.value);
    memcpy(value, &number, 8);  // --value is at least 8
}

static double now() {
    using namespace std::chrono;
    return duration<double>(steady_clock::now().time_since_epoch()).count();
}

static double cpu() {
    rusage use;
    getrusage(RUSAGE_SELF, &use);
    return use.ru_utime.tv_sec + use.ru_stime.tv_sec + (use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static uint64_t io(const char *name) {
    FILE *file = fopen("/proc/self/io", "r");
    char word[64];
    unsigned long long number, found = 0;
    while (file && fscanf(file, "%63s %llu", word, &number) == 2)
        if (!strcmp(word, name)) found = number;
    if (file) fclose(file);
    return found;
}

template <typename Body> static void each_file(Body body) {
    DIR *directory = opendir(settings.dir.c_str());
    while (dirent *entry = directory ? readdir(directory) : nullptr) {
        struct stat s;
        std::string path = settings.dir + "/" + entry->d_name;
        if (entry->d_name[0] != '.' && !stat(path.c_str(), &s)) body(path, s);
    }
    if (directory) closedir(directory);
}

static uint64_t allocated() {
    uint64_t sum = 0;
    each_file([&](const std::string &, const struct stat &s) { sum += s.st_blocks * 512; });
    return sum;
}

// Takes the clean pages of the files out of the page cache; with `syncing` makes all of them clean first.
static void drop_caches(bool syncing) {
    each_file([&](const std::string &path, const struct stat &) {
        int fd = open(path.c_str(), O_RDONLY);
        if (fd < 0) return;
        if (syncing) fdatasync(fd);
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        close(fd);
    });
}

struct Device {
    unsigned long long reads = 0, merged = 0, sectors = 0;
};

// What the block device has done for whomever; zeros where it does not say.
static Device device() {
    Device result;
    struct stat s;
    if (stat(settings.dir.c_str(), &s)) return result;
    char path[64];
    snprintf(path, sizeof path, "/sys/dev/block/%u:%u/stat", major(s.st_dev), minor(s.st_dev));
    FILE *file = fopen(path, "r");
    if (file && fscanf(file, "%llu %llu %llu", &result.reads, &result.merged, &result.sectors) != 3) result = {};
    if (file) fclose(file);
    return result;
}

// Until the process has been idle for a second: what it put off is part of its work.
static void drain() {
    check(db->Flush(rocksdb::FlushOptions()));
    for (int i = 0; i < 600; i++) {
        double before = cpu();
        uint64_t bytes = io("write_bytes:");
        usleep(1000000);
        if (cpu() - before < 0.02 && io("write_bytes:") == bytes) return;
    }
}

enum Kind { writes, reads, cold_reads, deletes };

static void tell(const char *name, double seconds, const std::string &what) {
    fprintf(stderr, "    rocksdb %s, %.0f s: %s\n", name, seconds, what.c_str());
}

// Seconds until the files fit one and a half of what lives; -1 when they do not within settings.patience.
static double until_settled(uint64_t live, uint64_t &peak) {
    double begin = now(), word = begin;
    for (;;) {
        uint64_t bytes = allocated();
        peak = std::max(peak, bytes);
        if (bytes * 2 <= live * 3) return now() - begin;
        if (now() - begin > settings.patience) return -1;
        if (now() >= word) {
            tell("delete", now() - begin, std::to_string(bytes >> 20) + " MiB for " + std::to_string(live >> 20) +
                 " MiB that live");
            word += 10;
        }
        usleep(500000);
    }
}

// Runs the operations on the threads and prints what they cost, the work that they left for the background included.
// `live`: the bytes of keys and values that are there at the end.
template <typename Work>
static void phase(const char *name, uint64_t operations, Kind kind, uint64_t live, Work work) {
    if (kind == cold_reads) drop_caches(true);
    bool changes = kind == writes || kind == deletes;
    done = 0;
    Device device0 = device();
    double cpu0 = cpu(), begin = now();
    uint64_t written = io("write_bytes:"), passed = io("wchar:"), read = io("read_bytes:"), peak = 0;
    std::atomic<uint64_t> found{0};
    std::vector<std::thread> threads;
    std::atomic<unsigned> running{settings.threads};
    for (unsigned t = 0; t < settings.threads; t++)
        threads.emplace_back([&, t] {
            uint64_t mine = 0;
            for (uint64_t i = t; i < operations; i += settings.threads) {
                mine += work(i);
                if ((i & 255) < settings.threads) done.fetch_add(256 / settings.threads, std::memory_order_relaxed);
            }
            found += mine;
            running--;
        });
    double slowest = 1e18, second = begin, next_drop = begin, next_word = begin + 10;
    double next_sample = begin + settings.interval;
    uint64_t last = 0;
    std::string samples;
    auto sample = [&] {
        uint64_t bytes = allocated();
        peak = std::max(peak, bytes);
        char text[96];
        snprintf(text, sizeof text, "%s[%.1f,%llu,%llu]", samples.empty() ? "" : ",", now() - begin,
                 (unsigned long long)done.load(), (unsigned long long)bytes);
        samples += text;
    };
    while (running > 0) {
        usleep(20000);
        double time = now();
        if (running == 0) break;
        if (kind == cold_reads && time >= next_drop) {
            drop_caches(false);
            next_drop = time + 0.1;
        }
        if (changes && time >= next_sample) {
            sample();
            next_sample += settings.interval;
        }
        if (time - second < 1) continue;
        uint64_t count = done;
        double rate = (count - last) / (time - second);
        slowest = std::min(slowest, rate);
        last = count;
        second = time;
        if (time >= next_word) {
            tell(name, time - begin, std::to_string(count * 100 / operations) + " %, " +
                 std::to_string((uint64_t)rate) + "/s");
            next_word += 10;
        }
    }
    for (auto &thread : threads) thread.join();
    double seconds = now() - begin, settled = -1;
    Device device1 = device();
    read = io("read_bytes:") - read;
    if (changes) sample();
    if (kind == deletes) settled = until_settled(live, peak);
    if (kind == writes) drain();
    printf("{\"phase\":\"%s\",\"threads\":%u,\"operations\":%llu,\"seconds\":%.3f,\"slowest\":%.0f,\"cpu\":%.3f,"
           "\"found\":%llu,\"written\":%llu,\"passed\":%llu,\"read\":%llu,\"device_reads\":%llu,"
           "\"device_read_bytes\":%llu,\"allocated\":%llu,\"peak\":%llu,\"settled\":%.1f,\"samples\":[%s],"
           "\"drain\":%.1f}\n",
           name, settings.threads, (unsigned long long)operations, seconds,
           slowest > 1e17 ? operations / seconds : slowest, cpu() - cpu0, (unsigned long long)found.load(),
           (unsigned long long)(io("write_bytes:") - written), (unsigned long long)(io("wchar:") - passed),
           (unsigned long long)read, device1.reads - device0.reads, (device1.sectors - device0.sectors) * 512,
           (unsigned long long)allocated(), (unsigned long long)peak, settled, samples.c_str(),
           now() - begin - seconds);
    fflush(stdout);
}

static uint64_t put(uint64_t number, uint64_t pass) {
    static thread_local std::vector<char> value(settings.value);
    char key[16];
    make_key(number, key);
    make_value(number, pass, value.data());
    check(db->Put(rocksdb::WriteOptions(), rocksdb::Slice(key, 16), rocksdb::Slice(value.data(), value.size())));
    return 1;
}

static uint64_t remove_key(uint64_t number) {
    char key[16];
    make_key(number, key);
    check(db->Delete(rocksdb::WriteOptions(), rocksdb::Slice(key, 16)));
    return 1;
}

static uint64_t get(uint64_t number) {
    static thread_local rocksdb::PinnableSlice value;
    char key[16];
    make_key(number, key);
    value.Reset();
    auto status = db->Get(rocksdb::ReadOptions(), db->DefaultColumnFamily(), rocksdb::Slice(key, 16), &value);
    if (status.IsNotFound()) return 0;
    check(status);
    return !memcmp(value.data(), &number, 8);
}

static uint64_t seek(uint64_t number) {
    char key[16];
    make_key(number, key);
    std::unique_ptr<rocksdb::Iterator> iterator(db->NewIterator(rocksdb::ReadOptions()));
    uint64_t sum = 0;
    int steps = 0;
    for (iterator->Seek(rocksdb::Slice(key, 16)); iterator->Valid() && steps < 100; iterator->Next(), steps++)
        sum += iterator->value().size() == settings.value && iterator->key().size() == 16;
    check(iterator->status());
    return sum;
}

int main(int argc, char **argv) {
    for (int i = 1; i + 1 < argc; i += 2) {
        std::string name = argv[i], text = argv[i + 1];
        uint64_t number = strtoull(argv[i + 1], nullptr, 10);
        if (name == "--dir") settings.dir = text;
        else if (name == "--phases") settings.phases = text;
        else if (name == "--keys") settings.keys = number;
        else if (name == "--reads") settings.reads = number;
        else if (name == "--seeks") settings.seeks = number;
        else if (name == "--passes") settings.passes = number;
        else if (name == "--interval") settings.interval = number;
        else if (name == "--patience") settings.patience = number;
        else if (name == "--value") settings.value = number;
        else if (name == "--memory") settings.memory = number;
        else if (name == "--threads") settings.threads = number;
        else if (name == "--blob") settings.blob = number;
        else if (name == "--filter") settings.filter = number;
        else return fprintf(stderr, "unknown argument %s\n", argv[i]), 64;
    }
    if (!settings.reads) settings.reads = settings.keys;
    if (!settings.seeks) settings.seeks = settings.keys / 20;
    pool.resize((4 << 20) + settings.value);
    for (size_t i = 0; i + 8 <= pool.size(); i += 8) {
        uint64_t bits = mix(i ^ 0x5EED);
        memcpy(pool.data() + i, &bits, 8);
    }
    rocksdb::Options options;
    options.create_if_missing = true;
    rocksdb::BlockBasedTableOptions table;
    size_t buffers = 2 * options.write_buffer_size;
    size_t cache = settings.memory > 2 * buffers ? settings.memory - buffers : settings.memory / 2;
    table.block_cache = rocksdb::NewLRUCache(cache);
    if (settings.filter) table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    if (settings.blob) {
        options.enable_blob_files = true;
        options.min_blob_size = 256;
        options.enable_blob_garbage_collection = true;
    }
    check(rocksdb::DB::Open(options, settings.dir, &db));

    uint64_t keys = settings.keys, pair = 16 + settings.value;
    auto hit = [keys](uint64_t i) { return get(mix(i ^ 0x117) % keys); };
    auto miss = [keys](uint64_t i) { return get(keys + mix(i) % keys); };
    auto seek_one = [keys](uint64_t i) { return seek(mix(i ^ 0x5EE) % keys); };
    const uint64_t other = 1ull << 32;
    std::string rest = settings.phases + ",";
    while (!rest.empty()) {
        std::string name = rest.substr(0, rest.find(','));
        rest = rest.substr(rest.find(',') + 1);
        if (name == "fill") {
            phase("fill", keys, writes, keys * pair, [](uint64_t i) { return put(i, 0); });
        } else if (name == "overwrite") {
            phase("overwrite", keys * settings.passes, writes, keys * pair,
                  [keys](uint64_t i) { return put(mix(i + 77) % keys, 1 + i / keys); });
        } else if (name == "hit") {
            phase("warm", settings.reads, reads, 0, hit);
            phase("hit", settings.reads, reads, 0, hit);
        } else if (name == "miss") {
            phase("warm", settings.reads, reads, 0, miss);
            phase("miss", settings.reads, reads, 0, miss);
        } else if (name == "seek") {
            phase("warm", settings.seeks, reads, 0, seek_one);
            phase("seek", settings.seeks, reads, 0, seek_one);
        } else if (name == "coldhit") {
            phase("warm", settings.reads, cold_reads, 0, hit);
            phase("coldhit", settings.reads, cold_reads, 0, [=](uint64_t i) { return hit(i + other); });
        } else if (name == "coldmiss") {
            phase("warm", settings.reads, cold_reads, 0, miss);
            phase("coldmiss", settings.reads, cold_reads, 0, [=](uint64_t i) { return miss(i + other); });
        } else if (name == "delete") {
            // Nine of ten keys; the tenth stays.
            uint64_t left = (keys + 9) / 10;
            phase("delete", keys - left, deletes, left * pair, [](uint64_t i) { return remove_key(i + i / 9 + 1); });
        } else {
            return fprintf(stderr, "no phase is called %s\n", name.c_str()), 64;
        }
    }
    delete db;
    return 0;
}
