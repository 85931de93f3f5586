// The server's program: everything it does is in ValkServer's ServerLifecycle.

import Glibc
import ValkServer

let program = CommandLine.arguments.first ?? "valk-server"
exit(ServerLifecycle.run(Array(CommandLine.arguments.dropFirst()), program: program))
