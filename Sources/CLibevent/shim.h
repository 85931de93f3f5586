// The parts of libevent that the server uses: the event loop, listeners and thread wake-ups.
#include <event2/event.h>
#include <event2/listener.h>
#include <event2/thread.h>
#include <event2/util.h>
