// Use of an object that somebody else keeps alive, without counting references.

extension Unmanaged {
    /// Calls `body` with the object. The caller promises that somebody keeps it alive until `body` returns; the
    /// compiler then needs no retain and release around the call, which cost more than many a body.
    @inline(__always)
    @inlinable
    package func borrow<R, Failure: Error>(_ body: (Instance) throws(Failure) -> R) throws(Failure) -> R {
        // The standard library's form knows no typed throws.
        let result: Result<R, Failure> = _withUnsafeGuaranteedRef { object in
            do throws(Failure) { return .success(try body(object)) } catch { return .failure(error) }
        }
        return try result.get()
    }
}
