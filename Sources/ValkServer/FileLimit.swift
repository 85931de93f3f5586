// Descriptors: one for each client, and some for the store's files, listeners and threads.

import Glibc

package enum FileLimit {
    /// Kept for everything that is no client; where the system allows few descriptors, half of them.
    private static let reserve = 1024

    /// Raises the limit of open files so that `clients` connections fit. Returns how many do: `clients`, or fewer where
    /// the system does not allow enough.
    package static func raise(forClients clients: Int) -> Int {
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var limit = rlimit()
        guard getrlimit(resource, &limit) == 0 else { return clients }
        let wanted = rlim_t(clamping: clients) + rlim_t(reserve)
        if limit.rlim_cur >= wanted { return clients }
        var raised = rlimit(rlim_cur: wanted, rlim_max: max(limit.rlim_max, wanted))
        if setrlimit(resource, &raised) == 0 { return clients }
        // Without the right to go beyond it, the hard limit is what there is.
        raised = rlimit(rlim_cur: min(wanted, limit.rlim_max), rlim_max: limit.rlim_max)
        if setrlimit(resource, &raised) == 0 { limit.rlim_cur = raised.rlim_cur }
        let have = Int(clamping: limit.rlim_cur)
        return min(clients, max(1, have - min(reserve, have / 2)))
    }
}
