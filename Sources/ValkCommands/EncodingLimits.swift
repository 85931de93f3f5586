// Up to what size Redis holds collections in its compact forms. Valk stores them otherwise; the limits decide what
// OBJECT ENCODING says, whether a scan of a collection answers with all of it at once, and how roughly streams are
// trimmed.

package struct EncodingLimits: Sendable, Equatable {
    /// `hash-max-listpack-entries` and `-value` (bytes of a field or a value).
    package var hashEntries = 512
    package var hashValueBytes = 64
    /// `set-max-intset-entries`.
    package var intsetEntries = 512
    /// `zset-max-listpack-entries` and `-value`.
    package var sortedSetEntries = 128
    package var sortedSetValueBytes = 64
    /// `stream-node-max-entries`; 0: no limit.
    package var streamNodeEntries = 100

    package init() {}
}
