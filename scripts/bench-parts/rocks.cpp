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
#include <dirent.h>
#include <unistd.h>

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
    uint64_t keys = 1000000, reads = 0, seeks = 0, passes = 1;
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

static uint64_t allocated(const std::string &path) {
    uint64_t sum = 0;
    DIR *directory = opendir(path.c_str());
    while (dirent *entry = directory ? readdir(directory) : nullptr) {
        struct stat s;
        if (entry->d_name[0] != '.' && !stat((path + "/" + entry->d_name).c_str(), &s)) sum += s.st_blocks * 512;
    }
    if (directory) closedir(directory);
    return sum;
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

template <typename Work> static void phase(const char *name, uint64_t operations, bool writes, Work work) {
    done = 0;
    double cpu0 = cpu(), begin = now();
    uint64_t written = io("write_bytes:"), passed = io("wchar:");
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
    double slowest = 1e18, second = begin;
    uint64_t last = 0;
    while (running > 0) {
        usleep(20000);
        if (now() - second < 1 || running == 0) continue;
        uint64_t count = done;
        double time = now(), rate = (count - last) / (time - second);
        if (rate < slowest) slowest = rate;
        last = count;
        second = time;
    }
    for (auto &thread : threads) thread.join();
    double seconds = now() - begin;
    if (writes) drain();
    printf("{\"phase\":\"%s\",\"operations\":%llu,\"seconds\":%.3f,\"slowest\":%.0f,\"cpu\":%.3f,\"found\":%llu,"
           "\"written\":%llu,\"passed\":%llu,\"allocated\":%llu,\"drain\":%.1f}\n",
           name, (unsigned long long)operations, seconds, slowest > 1e17 ? operations / seconds : slowest, cpu() - cpu0,
           (unsigned long long)found.load(), (unsigned long long)(io("write_bytes:") - written),
           (unsigned long long)(io("wchar:") - passed), (unsigned long long)allocated(settings.dir),
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

    uint64_t keys = settings.keys;
    std::string rest = settings.phases + ",";
    while (!rest.empty()) {
        std::string name = rest.substr(0, rest.find(','));
        rest = rest.substr(rest.find(',') + 1);
        if (name == "fill") phase("fill", keys, true, [](uint64_t i) { return put(i, 0); });
        if (name == "overwrite")
            phase("overwrite", keys * settings.passes, true,
                  [keys](uint64_t i) { return put(mix(i + 77) % keys, 1 + i / keys); });
        if (name == "hit") {
            phase("warm", settings.reads, false, [keys](uint64_t i) { return get(mix(i ^ 0x117) % keys); });
            phase("hit", settings.reads, false, [keys](uint64_t i) { return get(mix(i ^ 0x117) % keys); });
        }
        if (name == "miss")
            phase("miss", settings.reads, false, [keys](uint64_t i) { return get(keys + mix(i) % keys); });
        if (name == "seek")
            phase("seek", settings.seeks, false, [keys](uint64_t i) { return seek(mix(i ^ 0x5EE) % keys); });
    }
    delete db;
    return 0;
}
