// As much of JSON as the dumps need. Bytes are strings with \xNN escapes inside, as everywhere else.

enum JSON {
    case null
    case bool(Bool)
    case number(Int)
    case unsigned(UInt64)
    case string(String)
    case array([JSON])
    case object([(String, JSON)])

    /// Indented by two spaces.
    var text: String { render("") }

    private func render(_ indent: String) -> String {
        switch self {
        case .null: return "null"
        case .bool(let value): return value ? "true" : "false"
        case .number(let value): return "\(value)"
        case .unsigned(let value): return "\(value)"
        case .string(let value): return JSON.quote(value)
        case .array(let items):
            if items.isEmpty { return "[]" }
            let inner = indent + "  "
            let lines = items.map { inner + $0.render(inner) }
            return "[\n" + lines.joined(separator: ",\n") + "\n\(indent)]"
        case .object(let fields):
            if fields.isEmpty { return "{}" }
            let inner = indent + "  "
            let lines = fields.map { "\(inner)\(JSON.quote($0.0)): \($0.1.render(inner))" }
            return "{\n" + lines.joined(separator: ",\n") + "\n\(indent)}"
        }
    }

    private static func quote(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            default:
                if scalar.value < 0x20 {
                    let digits = String(scalar.value, radix: 16)
                    result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                } else {
                    result.unicodeScalars.append(scalar)
                }
            }
        }
        return result + "\""
    }
}
