// SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE and their opposites, PUBLISH, SPUBLISH, PUBSUB.
//
// A publication leaves when its transaction is committed (`CommandContext.publications`), so a command that is undone
// and run again on a worker publishes once. Subscribing is done at once: doing it twice is doing it once.

import ValkBase
import ValkCommands
import ValkEngine
import ValkRESP

extension Administration {
    func addPubSubCommands(_ handlers: inout HandlersByName) {
        handlers.on("subscribe", Self.subscribe(.channel, "subscribe"))
        handlers.on("psubscribe", Self.subscribe(.pattern, "psubscribe"))
        handlers.on("ssubscribe", Self.subscribe(.shard, "ssubscribe"))
        handlers.on("unsubscribe", Self.unsubscribe(.channel, "unsubscribe"))
        handlers.on("punsubscribe", Self.unsubscribe(.pattern, "punsubscribe"))
        handlers.on("sunsubscribe", Self.unsubscribe(.shard, "sunsubscribe"))
        handlers.on("publish", Self.publish(isSharded: false))
        handlers.on("spublish", Self.publish(isSharded: true))
        handlers.on("pubsub|channels", Self.names(.channel))
        handlers.on("pubsub|shardchannels", Self.names(.shard))
        handlers.on("pubsub|numsub", Self.counts(.channel))
        handlers.on("pubsub|shardnumsub", Self.counts(.shard))
        handlers.on("pubsub|numpat") { connection, context throws(Interruption) in
            context.reply.integer(connection.server.pubSub.count(.pattern))
        }
        handlers.on("pubsub|help") { _, context throws(Interruption) in
            context.writeHelp(
                "PUBSUB",
                [
                    "CHANNELS [<pattern>]", "    List the channels that somebody listens to, those that match.",
                    "NUMPAT", "    Count the patterns that somebody listens to.",
                    "NUMSUB [<channel> ...]", "    Count who listens to each of these channels, patterns apart.",
                    "SHARDCHANNELS [<pattern>]", "    As CHANNELS, of shard channels.",
                    "SHARDNUMSUB [<shardchannel> ...]", "    As NUMSUB, of shard channels.",
                ])
        }
    }

    private static func subscribe(_ kind: SubscriptionKind, _ word: StaticString) -> HostedHandler {
        { connection, context throws(Interruption) in
            for i in 1..<context.args.count {
                let name = context.args[i]
                connection.subscribe(kind, name.array)
                context.reply.push(3)
                context.reply.bulk(word)
                context.reply.bulk(name)
                context.reply.integer(connection.subscriptionCount(kind))
            }
        }
    }

    private static func unsubscribe(_ kind: SubscriptionKind, _ word: StaticString) -> HostedHandler {
        { connection, context throws(Interruption) in
            func reply(_ name: [UInt8]?) {
                context.reply.push(3)
                context.reply.bulk(word)
                if let name { name.withView { context.reply.bulk($0) } } else { context.reply.null() }
                context.reply.integer(connection.subscriptionCount(kind))
            }
            let names =
                context.args.count == 1
                ? connection.subscribed(kind) : (1..<context.args.count).map { context.args[$0].array }
            for name in names {
                connection.unsubscribe(kind, name)
                reply(name)
            }
            if names.isEmpty { reply(nil) }
        }
    }

    private static func publish(isSharded: Bool) -> HostedHandler {
        { connection, context throws(Interruption) in
            var publication = Publication(
                channel: context.args[1].array, message: context.args[2].array, isSharded: isSharded)
            let receivers = connection.server.pubSub.route(&publication)
            if receivers > 0 { context.publish(publication) }
            context.reply.integer(receivers)
        }
    }

    private static func names(_ kind: SubscriptionKind) -> HostedHandler {
        { connection, context throws(Interruption) in
            guard context.args.count <= 3 else {
                return context.fail(
                    "ERR unknown subcommand or wrong number of arguments for '\(context.args[1].string)'. Try PUBSUB "
                        + "HELP.")
            }
            let names = connection.server.pubSub.names(
                kind, matching: context.args.count == 3 ? context.args[2] : nil)
            context.reply.array(names.count)
            for name in names { name.withView { context.reply.bulk($0) } }
        }
    }

    private static func counts(_ kind: SubscriptionKind) -> HostedHandler {
        { connection, context throws(Interruption) in
            context.reply.array((context.args.count - 2) * 2)
            for i in 2..<context.args.count {
                context.reply.bulk(context.args[i])
                context.reply.integer(connection.server.pubSub.subscribers(kind, context.args[i].array))
            }
        }
    }
}
