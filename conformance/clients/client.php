<?php
// phpredis as Debian packages it.
[, $port, $socket] = $argv;

function equal(string $name, $seen, $expected): void
{
    echo $seen === $expected ? "ok $name\n"
        : "FAIL $name: expected " . json_encode($expected) . ', got ' . substr((string) json_encode($seen), 0, 300) . "\n";
}

function section(string $name, callable $code): void
{
    try {
        $code();
    } catch (Throwable $error) {
        echo "FAIL $name: " . get_class($error) . ': ' . strtr($error->getMessage(), "\n", ' ') . "\n";
    }
}

$r = new Redis();
$r->connect('127.0.0.1', (int) $port);

section('strings', function () use ($r) {
    equal('ping', $r->ping('hello'), 'hello');
    equal('set, get', [$r->set('a', '1'), $r->get('a'), $r->get('none')], [true, '1', false]);
    equal('set nx ex', [$r->set('a', '2', ['nx']), $r->set('b', 'x', ['nx', 'ex' => 100]), $r->ttl('b') > 90],
        [false, true, true]);
    equal('setex, psetex, setnx', [$r->setex('c', 10, 'x'), $r->psetex('d', 10000, 'x'), $r->setnx('c', 'y')],
        [true, true, false]);
    equal('counters', [$r->incr('n'), $r->incrBy('n', 41), $r->decr('n'), $r->incrByFloat('n', 0.5)], [1, 42, 41, 41.5]);
    equal('mset, mget, msetnx', [$r->mset(['x' => 1, 'y' => 2]), $r->mget(['x', 'none', 'y']),
        $r->msetnx(['x' => 0, 'q' => 0])], [true, ['1', false, '2'], false]);
    equal('append, getRange, setRange, strlen', [$r->append('s', 'hello'), $r->getRange('s', 1, 3),
        $r->setRange('s', 5, '!'), $r->strlen('s')], [5, 'ell', 6, 6]);
    equal('getSet', [$r->getSet('a', 'new'), $r->get('a')], ['1', 'new']);
    $bytes = random_bytes(2_000_000);
    equal('2 MB of bytes', [$r->set('big', $bytes), $r->get('big') === $bytes], [true, true]);
    equal('error', [$r->incr('s'), rtrim($r->getLastError(), "\0")], [false, 'ERR value is not an integer or out of range']);
    $r->setOption(Redis::OPT_SERIALIZER, Redis::SERIALIZER_PHP);
    equal('serialised', [$r->set('object', ['a' => [1, 2, null]]), $r->get('object')], [true, ['a' => [1, 2, null]]]);
    $r->setOption(Redis::OPT_SERIALIZER, Redis::SERIALIZER_NONE);
});

section('keys', function () use ($r) {
    $r->flushAll();
    $pipe = $r->multi(Redis::PIPELINE);
    for ($i = 0; $i < 1000; $i++) {
        $pipe->set("key:$i", $i);
    }
    equal('pipeline', count(array_filter($pipe->exec())), 1000);
    $r->setOption(Redis::OPT_SCAN, Redis::SCAN_RETRY);
    $cursor = null;
    $seen = [];
    while ($keys = $r->scan($cursor, 'key:*', 50)) {
        $seen += array_flip($keys);
    }
    equal('scan', count($seen), 1000);
    $keys = $r->keys('key:99?');
    sort($keys);
    equal('keys', $keys, array_map(fn ($i) => "key:99$i", range(0, 9)));
    equal('dbSize, type, exists, del, unlink', [$r->dbSize(), $r->type('key:1'), $r->exists('key:1', 'none'),
        $r->del('key:1', 'none'), $r->unlink('key:2')], [1000, Redis::REDIS_STRING, 1, 1, 1]);
    equal('expire, persist, ttl', [$r->expire('key:3', 10), $r->persist('key:3'), $r->ttl('key:3'), $r->ttl('none')],
        [true, true, -1, -2]);
    equal('rename, move', [$r->rename('key:3', 'z'), $r->move('z', 4), $r->exists('z'), $r->select(4), $r->get('z'),
        $r->select(0)], [true, true, 0, true, '3', true]);
});

section('transactions', function () use ($r, $port) {
    equal('multi', $r->multi()->set('t', 1)->incr('t')->get('none')->exec(), [true, 2, false]);
    $other = new Redis();
    $other->connect('127.0.0.1', (int) $port);
    $r->watch('t');
    $other->set('t', 'changed');
    equal('watch', [$r->multi()->set('t', 'mine')->exec(), $r->get('t')], [false, 'changed']);
});

section('administration', function () use ($r) {
    equal('info', [str_starts_with($r->info()['redis_version'], '7.'), isset($r->info('COMMANDSTATS')['cmdstat_set'])],
        [true, true]);
    equal('config', [$r->config('SET', 'timeout', '0'), $r->config('GET', 'timeout')], [true, ['timeout' => '0']]);
    equal('client', [$r->client('setname', 'php'), $r->client('getname'),
        in_array('php', array_column($r->client('list'), 'name'))], [true, 'php', true]);
    equal('object, time', [$r->object('encoding', 't'), abs($r->time()[0] - time()) < 60], ['embstr', true]);
});

section('unix socket', function () use ($socket) {
    $own = new Redis();
    equal('unix socket', [$own->connect($socket), $own->get('t')], [true, 'changed']);
});

section('authentication', function () use ($r, $port) {
    $r->config('SET', 'requirepass', 'secret');
    $own = new Redis();
    $own->connect('127.0.0.1', (int) $port);
    $refused = false;
    try {
        $own->get('t');
    } catch (RedisException $error) {
        $refused = str_starts_with($error->getMessage(), 'NOAUTH');
    }
    equal('refused without password', $refused, true);
    equal('password', [$own->auth('secret'), $own->get('t')], [true, 'changed']);
    $own->config('SET', 'requirepass', '');
});

echo "done\n";
