// The parts of libevent that the server uses: the event loop, listeners and thread wake-ups.
//
// <features.h> comes first on purpose: libevent's configuration header defines _GNU_SOURCE, which would change the
// system's types (fd_set) in this module only, and the compiler refuses a module that disagrees with Glibc's about
// them. Once <features.h> has been read, a later definition has no effect.
#include <features.h>
#include <sys/select.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <event2/thread.h>
#include <event2/util.h>
