// Looking at a batch from outside: which keys it touches.

import ValkBase

extension WriteBatch {
    /// Every key that is set or deleted singly, in the order of the operations; a key may come more than once.
    package func forEachKey(_ body: (ByteView) -> Void) {
        for operation in operations where operation.action != .deleteRange { body(key(operation)) }
    }
}
