// An example of the library: counts visits to pages in a database, lists them in order, and makes a backup.
//
//   swift run valk-example DIRECTORY PAGE...       counts one visit to each page
//   swift run valk-example DIRECTORY               lists all pages
//   swift run valk-example DIRECTORY --backup TO   copies the database

import Glibc
import ValkEngine

@main
struct Visits {
    static func main() {
        let arguments = Array(CommandLine.arguments.dropFirst())
        guard let directory = arguments.first else {
            print("usage: valk-example DIRECTORY [PAGE... | --backup TO]")
            exit(64)
        }
        do throws(DatabaseError) {
            let database = try Database(path: directory)
            if arguments.count == 3 && arguments[1] == "--backup" {
                let report = try database.backup(to: arguments[2], verifying: true)
                print("\(report.linkedFiles) files linked, \(report.copiedFiles) copied to \(report.path)")
            } else if arguments.count > 1 {
                try count(arguments.dropFirst(), in: database)
            } else {
                try list(database)
            }
            try database.close()
        } catch {
            print("valk-example: \(error)")
            exit(1)
        }
    }

    /// All visits of one call are counted, or none.
    private static func count(_ pages: ArraySlice<String>, in database: Database) throws(DatabaseError) {
        var visits: [String: Int] = [:]
        for page in pages {
            if visits[page] == nil { visits[page] = number(try database.value(of: Array(page.utf8))) }
            visits[page, default: 0] += 1
        }
        var batch = Database.Batch()
        for (page, count) in visits { batch.set(Array("\(count)".utf8), for: Array(page.utf8)) }
        try database.write(batch)
    }

    /// The last page first, to show how a cursor walks.
    private static func list(_ database: Database) throws(DatabaseError) {
        let cursor = try database.snapshot().cursor()
        try cursor.seekToLast()
        while let page = cursor.key {
            print("\(number(try cursor.value()))\t\(String(decoding: page, as: UTF8.self))")
            try cursor.previous()
        }
        let figures = try database.statistics()
        print("\(figures.tableFiles) table files, \(figures.logSegments) segments of the log")
    }

    private static func number(_ value: [UInt8]?) -> Int {
        value.flatMap { Int(String(decoding: $0, as: UTF8.self)) } ?? 0
    }
}
