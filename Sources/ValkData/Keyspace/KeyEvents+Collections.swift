// Events of the collections, by the names that Redis gives them.

extension KeyEvent {
    package static var hset: KeyEvent { KeyEvent("hset", .hash) }
    package static var hdel: KeyEvent { KeyEvent("hdel", .hash) }
    package static var hincrby: KeyEvent { KeyEvent("hincrby", .hash) }
    package static var hincrbyfloat: KeyEvent { KeyEvent("hincrbyfloat", .hash) }
    package static var hexpire: KeyEvent { KeyEvent("hexpire", .hash) }
    package static var hexpired: KeyEvent { KeyEvent("hexpired", .hash) }
    package static var hpersist: KeyEvent { KeyEvent("hpersist", .hash) }

    package static var sadd: KeyEvent { KeyEvent("sadd", .set) }
    package static var srem: KeyEvent { KeyEvent("srem", .set) }
    package static var spop: KeyEvent { KeyEvent("spop", .set) }
    package static var sinterstore: KeyEvent { KeyEvent("sinterstore", .set) }
    package static var sunionstore: KeyEvent { KeyEvent("sunionstore", .set) }
    package static var sdiffstore: KeyEvent { KeyEvent("sdiffstore", .set) }

    package static var lpush: KeyEvent { KeyEvent("lpush", .list) }
    package static var rpush: KeyEvent { KeyEvent("rpush", .list) }
    package static var lpop: KeyEvent { KeyEvent("lpop", .list) }
    package static var rpop: KeyEvent { KeyEvent("rpop", .list) }
    package static var lset: KeyEvent { KeyEvent("lset", .list) }
    package static var linsert: KeyEvent { KeyEvent("linsert", .list) }
    package static var ltrim: KeyEvent { KeyEvent("ltrim", .list) }
    package static var lrem: KeyEvent { KeyEvent("lrem", .list) }
    package static var sortstore: KeyEvent { KeyEvent("sortstore", .list) }

    package static var zadd: KeyEvent { KeyEvent("zadd", .sortedSet) }
    package static var zincr: KeyEvent { KeyEvent("zincr", .sortedSet) }
    package static var zrem: KeyEvent { KeyEvent("zrem", .sortedSet) }
    package static var zremrangebyscore: KeyEvent { KeyEvent("zremrangebyscore", .sortedSet) }
    package static var zremrangebyrank: KeyEvent { KeyEvent("zremrangebyrank", .sortedSet) }
    package static var zremrangebylex: KeyEvent { KeyEvent("zremrangebylex", .sortedSet) }
    package static var zpopmin: KeyEvent { KeyEvent("zpopmin", .sortedSet) }
    package static var zpopmax: KeyEvent { KeyEvent("zpopmax", .sortedSet) }
    package static var zunionstore: KeyEvent { KeyEvent("zunionstore", .sortedSet) }
    package static var zinterstore: KeyEvent { KeyEvent("zinterstore", .sortedSet) }
    package static var zdiffstore: KeyEvent { KeyEvent("zdiffstore", .sortedSet) }
    package static var zrangestore: KeyEvent { KeyEvent("zrangestore", .sortedSet) }
    package static var georadiusstore: KeyEvent { KeyEvent("georadiusstore", .sortedSet) }
    package static var geosearchstore: KeyEvent { KeyEvent("geosearchstore", .sortedSet) }

    package static var xadd: KeyEvent { KeyEvent("xadd", .stream) }
    package static var xdel: KeyEvent { KeyEvent("xdel", .stream) }
    package static var xtrim: KeyEvent { KeyEvent("xtrim", .stream) }
    package static var xsetid: KeyEvent { KeyEvent("xsetid", .stream) }
    package static var xgroupCreate: KeyEvent { KeyEvent("xgroup-create", .stream) }
    package static var xgroupCreateconsumer: KeyEvent { KeyEvent("xgroup-createconsumer", .stream) }
    package static var xgroupDelconsumer: KeyEvent { KeyEvent("xgroup-delconsumer", .stream) }
    package static var xgroupDestroy: KeyEvent { KeyEvent("xgroup-destroy", .stream) }
    package static var xgroupSetid: KeyEvent { KeyEvent("xgroup-setid", .stream) }
}
