// libFuzzer's entry: every input it makes up goes through the trial of the request parser. Built by scripts/fuzz only.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzRequestParser(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let text = Array(UnsafeBufferPointer(start: bytes, count: count))
    if let complaint = RequestParserTrial.complaint(text) {
        preconditionFailure(complaint)
    }
    return 0
}
