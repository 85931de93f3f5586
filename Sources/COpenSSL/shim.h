// The parts of OpenSSL that the server uses: digests, and random bytes that nobody can guess.
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
