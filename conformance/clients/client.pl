# Perl's Redis module as Debian packages it.
use strict;
use warnings;
use Redis;

my ($port, $socket) = @ARGV;
$| = 1;

sub equal {
    my ($name, $seen, $expected) = @_;
    my ($left, $right) = map { join '|', map { ref $_ ? '[' . join(',', map { $_ // 'undef' } @$_) . ']' : $_ // 'undef' } @$_ }
        ($seen, $expected);
    print $left eq $right ? "ok $name\n" : "FAIL $name: expected $right, got " . substr($left, 0, 300) . "\n";
}

sub section {
    my ($name, $code) = @_;
    eval { $code->(); 1 } or do { my $error = $@; $error =~ s/\n/ /g; print "FAIL $name: $error\n" };
}

my $r = Redis->new(server => "127.0.0.1:$port", name => 'perl-client');

section 'strings', sub {
    equal 'ping', [$r->ping], ['PONG'];
    equal 'set, get', [$r->set(a => 1), $r->get('a'), scalar $r->get('none')], ['OK', 1, undef];
    equal 'set ex nx', [$r->set('b', 'x', 'EX', 100), scalar $r->set('b', 'y', 'NX'), $r->ttl('b') > 90 ? 1 : 0],
        ['OK', undef, 1];
    equal 'counters', [$r->incr('n'), $r->incrby('n', 41), $r->decr('n'), $r->incrbyfloat('n', 0.5)], [1, 42, 41, 41.5];
    equal 'mset, mget', [$r->mset(x => 1, y => 2), [$r->mget('x', 'none', 'y')]], ['OK', [1, undef, 2]];
    equal 'append, strlen, getrange', [$r->append('s', 'hello'), $r->strlen('s'), $r->getrange('s', 1, 3)], [5, 5, 'ell'];
    my $bytes = join '', map { chr(($_ * 31 + int($_ / 256)) % 256) } 0 .. 999_999;
    equal '1 MB of bytes', [$r->set('big', $bytes), $r->get('big') eq $bytes ? 1 : 0], ['OK', 1];
    eval { $r->incr('s') };
    equal 'error', [$@ =~ /ERR value is not an integer or out of range/ ? 1 : 0], [1];
    equal 'connection name', [$r->client_getname], ['perl-client'];
};

section 'keys', sub {
    $r->flushall;
    $r->set("key:$_", $_, sub { }) for 0 .. 999;
    $r->wait_all_responses;
    equal 'dbsize after a pipeline', [$r->dbsize], [1000];
    my ($cursor, %seen) = (0);
    do {
        ($cursor, my $keys) = $r->scan($cursor, 'COUNT', 50);
        $seen{$_} = 1 for @$keys;
    } while ($cursor);
    equal 'scan', [scalar keys %seen], [1000];
    equal 'keys', [sort $r->keys('key:99?')], [map {"key:99$_"} 0 .. 9];
    equal 'del, exists, type', [$r->del('key:1', 'none'), $r->exists('key:1'), $r->type('key:2')], [1, 0, 'string'];
    equal 'rename, expire, persist', [$r->rename('key:3', 'z'), $r->expire('z', 10), $r->persist('z'), $r->ttl('z')],
        ['OK', 1, 1, -1];
};

section 'transactions', sub {
    $r->multi;
    equal 'queued', [$r->set('t', 1), $r->incr('t')], ['QUEUED', 'QUEUED'];
    equal 'exec', [[$r->exec]], [['OK', 2]];
    my @counts;
    $r->incr('count', sub { push @counts, $_[0] }) for 1 .. 2000;
    $r->wait_all_responses;
    equal 'pipeline', [scalar @counts, $counts[0], $counts[-1]], [2000, 1, 2000];
    my $other = Redis->new(server => "127.0.0.1:$port");
    $r->watch('t');
    $other->set('t', 'changed');
    $r->multi;
    $r->set('t', 'mine');
    $r->exec;
    equal 'watch', [$r->get('t')], ['changed'];
};

section 'administration', sub {
    my $info = $r->info;
    equal 'info', [$info->{redis_version} =~ /^7\./ ? 1 : 0, $info->{db0} =~ /^keys=\d+/ ? 1 : 0], [1, 1];
    equal 'config', [$r->config_set('timeout', 0), [$r->config_get('timeout')]], ['OK', ['timeout', 0]];
};

section 'unix socket', sub {
    equal 'unix socket', [Redis->new(sock => $socket)->get('t')], ['changed'];
};

section 'authentication', sub {
    $r->config_set('requirepass', 'secret');
    eval { Redis->new(server => "127.0.0.1:$port")->get('t') };
    equal 'refused without password', [$@ =~ /NOAUTH/ ? 1 : 0], [1];
    my $own = Redis->new(server => "127.0.0.1:$port", password => 'secret');
    equal 'password', [$own->ping], ['PONG'];
    $own->config_set('requirepass', '');
};

section 'quit', sub {
    my $own = Redis->new(server => "127.0.0.1:$port", reconnect => 0);
    equal 'quit', [$own->quit ? 1 : 0], [1];
};

print "done\n";
