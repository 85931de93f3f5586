# Ruby's redis gem as Debian packages it.
require "redis"

PORT = ARGV[0].to_i
SOCKET = ARGV[1]
$stdout.sync = true

def equal(name, seen, expected)
  puts seen == expected ? "ok #{name}" : "FAIL #{name}: expected #{expected.inspect}, got #{seen.inspect[0, 300]}"
end

def section(name)
  yield
rescue StandardError => e
  puts "FAIL #{name}: #{e.class}: #{e.message.tr("\n", " ")}"
end

r = Redis.new(port: PORT)

section("strings") do
  equal "ping", r.ping, "PONG"
  equal "set, get", [r.set("a", "1"), r.get("a"), r.get("none")], ["OK", "1", nil]
  equal "set nx, ex", [r.set("a", "2", nx: true), r.set("b", "x", ex: 100), (90..100).cover?(r.ttl("b"))],
        [false, "OK", true]
  equal "incr, decrby, incrbyfloat", [r.incr("n"), r.decrby("n", 5), r.incrbyfloat("n", 0.25)], [1, -4, -3.75]
  equal "mset, mget, mapped", [r.mset("x", 1, "y", 2), r.mget("x", "none"), r.mapped_mget("x", "y")],
        ["OK", ["1", nil], { "x" => "1", "y" => "2" }]
  equal "append, getrange, setrange", [r.append("s", "hello"), r.getrange("s", 1, 2), r.setrange("s", 5, "!")],
        [5, "el", 6]
  equal "getset, getdel, getex", [r.getset("g", "1"), r.getex("g", ex: 10), r.getdel("g"), r.exists?("g")],
        [nil, "1", "1", false]
  bytes = Random.new(1).bytes(2_000_000)
  equal "2 MB of bytes", [r.set("big", bytes), r.get("big").b == bytes], ["OK", true]
  begin
    r.incr("s")
    equal "error", "none", "an error"
  rescue Redis::CommandError => e
    equal "error", e.message, "ERR value is not an integer or out of range"
  end
end

section("keys") do
  r.flushall
  r.pipelined { |p| 1000.times { |i| p.set("key:#{i}", i) } }
  equal "scan_each", r.scan_each(count: 77).to_a.uniq.size, 1000
  equal "scan_each match", r.scan_each(match: "key:99?").to_a.sort, (0..9).map { |i| "key:99#{i}" }
  equal "keys, dbsize, type", [r.keys("key:5?").size, r.dbsize, r.type("key:1")], [10, 1000, "string"]
  equal "rename, del, unlink", [r.rename("key:1", "z"), r.del("z", "none"), r.unlink("key:2")], ["OK", 1, 1]
  equal "expire, persist", [r.expire("key:3", 10), r.persist("key:3"), r.ttl("key:3"), r.ttl("none")],
        [true, true, -1, -2]
  equal "copy, move", [r.copy("key:4", "c"), r.get("c"), r.move("c", 2), r.exists("c")], [true, "4", true, 0]
end

section("transactions") do
  equal "multi", r.multi { |m| m.set("t", 1); m.incr("t"); m.get("none") }, ["OK", 2, nil]
  equal "pipelined", r.pipelined { |p| 2000.times { p.incr("count") } }, (1..2000).to_a
  r.set("account", 100)
  threads = 4.times.map do
    Thread.new do
      own = Redis.new(port: PORT)
      10.times do
        nil until own.watch("account") do
          balance = own.get("account").to_i
          own.multi { |m| m.set("account", balance - 1) }
        end
      end
    end
  end
  threads.each(&:join)
  equal "watch keeps decrements apart", r.get("account"), "60"
end

section("administration") do
  equal "info", [r.info["redis_version"].start_with?("7."), r.info("commandstats").key?("set")], [true, true]
  equal "config", [r.config(:set, "timeout", "0"), r.config(:get, "timeout")], ["OK", { "timeout" => "0" }]
  equal "client", [r.client(:setname, "ruby"), r.client(:getname), r.client(:list).map { |c| c["name"] }.include?("ruby")],
        ["OK", "ruby", true]
  equal "object encoding", r.object(:encoding, "t"), "int"
  equal "time", (r.time[0] - Time.now.to_i).abs < 60, true
end

section("unix socket") { equal "unix socket", Redis.new(path: SOCKET).get("t"), "2" }

section("authentication") do
  r.config(:set, "requirepass", "secret")
  begin
    Redis.new(port: PORT).ping
    equal "refused without password", "answered", "refused"
  rescue Redis::CommandError => e
    equal "refused without password", e.message[0, 6], "NOAUTH"
  end
  own = Redis.new(port: PORT, password: "secret")
  equal "password", own.ping, "PONG"
  own.config(:set, "requirepass", "")
end

puts "done"
