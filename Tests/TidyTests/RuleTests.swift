// Shows of every rule that it finds what it is there for, and that it leaves what is allowed alone.

import Testing

@Suite struct RuleTests {
    private func lines(_ rule: Rule, _ path: String, _ text: String) -> [Int] {
        rule.check(SourceFile(path: path, text: text)).map(\.line)
    }

    @Test func importsFromAbove() {
        let text = "// A file.\nimport Glibc\nimport ValkServer\n@preconcurrency import Foundation\nimport ValkBase\n"
        #expect(lines(.imports, "Sources/ValkEngine/A.swift", text) == [3, 4])
        #expect(lines(.imports, "Sources/ValkDisk/A.swift", "package import struct ValkEngine.Store") == [1])
        #expect(
            lines(.imports, "Sources/ValkServer/A.swift", "import Logging\nimport CLibevent\nimport ValkDisk") == [])
        #expect(lines(.imports, "Sources/valk-inspect/main.swift", "import Foundation") == [])
        #expect(lines(.imports, "Sources/ValkRESP/A.swift", "import ValkEngine") == [1])
        #expect(lines(.imports, "Sources/Newcomer/A.swift", "import Glibc") == [0])
        #expect(lines(.imports, "Tests/ValkBaseTests/A.swift", "import Foundation") == [])
        #expect(
            lines(.imports, "Sources/ValkBase/A.swift", "// import ValkServer\nlet a = \"import ValkServer\"") == [])
    }

    @Test(arguments: [
        "print(1)", "let a = try! f()", "let a = b as! C", "DispatchQueue.main.sync {}", "let a = NSLock()",
        "Task { f() }", "Task.detached { f() }", "do { try f() } catch {}", "let a = Mutex<Int>(0)",
        "fatalError(\"TODO: later\")",
    ])
    func bannedInSources(_ line: String) {
        #expect(lines(.bannedCalls, "Sources/ValkEngine/A.swift", "// A file.\n\(line)\n") == [2])
        #expect(lines(.bannedCalls, "Sources/ValkEngine/A.swift", "// \(line)\n/* \(line) */") == [])
    }

    @Test func bannedWhereItMatters() {
        #expect(lines(.bannedCalls, "Sources/valk-inspect/main.swift", "print(1)") == [])
        #expect(lines(.bannedCalls, "Sources/ValkBase/A.swift", "blueprint(1)\nlet a = \"print(1)\"") == [])
        #expect(lines(.bannedCalls, "Sources/ValkBase/A.swift", "let a = \"\"\"\nprint(1)\n\"\"\"\nprint(2)") == [4])
        #expect(lines(.bannedCalls, "Sources/ValkBase/A.swift", "let a = #\"a\"b\"#; print(2)") == [1])
        #expect(
            lines(.bannedCalls, "Tests/ValkBaseTests/A.swift", "usleep(10)\nsleep(1)\nThread.sleep(1)") == [1, 2, 3])
        #expect(lines(.bannedCalls, "Tests/ValkBaseTests/A.swift", "let a = try! f()\nprint(a)") == [])
        #expect(lines(.bannedCalls, "Sources/ValkBase/A.swift", "fatalError(\"out of memory\")") == [])
    }

    @Test func longLines() {
        let long = String(repeating: "a", count: Rule.lineLengthMax + 1)
        #expect(lines(.lineLength, "Sources/ValkBase/A.swift", "a\n\(long)\n\(long.dropLast())") == [2])
        #expect(lines(.lineLength, "scripts/a", "#!/bin/sh\n\(long)") == [2])
        #expect(lines(.lineLength, "README.md", long) == [])
        #expect(
            lines(.lineLength, "Sources/ValkBase/A.swift", "let a = \"\"\"\n    \(long)\n    \"\"\"\n// \(long)") == [4]
        )
        #expect(
            lines(.lineLength, "Sources/ValkBase/A.swift", "f(\n    \"\(long)\",\n    1)\nlet a = \"\(long)\"") == [4])
        let wide = String(repeating: "µ", count: Rule.lineLengthMax)
        #expect(lines(.lineLength, "Sources/ValkBase/A.swift", wide) == [])
    }

    @Test func longFiles() {
        let text = String(repeating: "a\n", count: Rule.lineCountMax)
        #expect(lines(.fileLength, "Sources/ValkBase/A.swift", text) == [0])
        #expect(lines(.fileLength, "Sources/ValkBase/A.swift", String(text.dropLast())) == [])
        #expect(lines(.fileLength, "Tests/ValkCommandsTests/Facts.tsv", text) == [])
    }

    @Test func missingHeaders() {
        #expect(lines(.header, "Sources/ValkBase/A.swift", "import Glibc") == [1])
        #expect(lines(.header, "Sources/ValkBase/A.swift", "") == [1])
        #expect(lines(.header, "Sources/ValkBase/A.swift", "// What it is for.") == [])
        #expect(lines(.header, "Sources/CValk/a.c", "#include <a.h>") == [1])
        #expect(lines(.header, "scripts/a", "#!/bin/sh\nset -e") == [1])
        #expect(lines(.header, "scripts/a", "#!/bin/sh\n# What it is for.") == [])
        #expect(lines(.header, "Tests/ValkBaseTests/A.swift", "import Testing") == [])
    }

    @Test func baldReminders() {
        #expect(lines(.reminders, "Sources/ValkBase/A.swift", "// FIXME: this is broken, for a reason") == [1])
        #expect(lines(.reminders, "Sources/ValkBase/A.swift", "// TODO\n// TODO: later") == [1, 2])
        #expect(lines(.reminders, "Sources/ValkBase/A.swift", "// TODO: merge these once tables have levels") == [])
        #expect(lines(.reminders, "conformance/a.py", "# TODO") == [1])
    }

    @Test func pathsOfOneMachine() {
        for folder in Rule.machineFolders {
            #expect(lines(.machinePaths, "scripts/a", "cd \(folder)x\n'\(folder)x'") == [1, 2])
        }
        #expect(lines(.machinePaths, "scripts/a", "cd $HOME\(Rule.machineFolders[0])x\ncd a/home/b\n/tmp/x") == [])
    }

    @Test func classesThatAreNotFinal() {
        #expect(lines(.finalClasses, "Sources/ValkBase/A.swift", "package class A {\nclass B: C {}\n") == [1, 2])
        #expect(lines(.finalClasses, "Sources/ValkBase/A.swift", "final class A {}\npackage final class B {}") == [])
        #expect(lines(.finalClasses, "Sources/ValkEngine/A.swift", "package class EntryCursor {}") == [])
        #expect(lines(.finalClasses, "Sources/ValkEngine/A.swift", "    class func make() {}\n// class A") == [])
    }

    @Test func unjustifiedSendable() {
        let bare = "import Glibc\nfinal class A: @unchecked Sendable {\n    var a = 0\n}"
        #expect(lines(.uncheckedSendable, "Sources/ValkBase/A.swift", bare) == [2])
        let justified = "// One loop owns it.\nfinal class A: @unchecked Sendable {\n}"
        #expect(lines(.uncheckedSendable, "Sources/ValkBase/A.swift", justified) == [])
    }

    @Test func linksAreFound() {
        let text = "[a](b.md) [c](../d/e.md#part) [f](https://example.org/g) [h](#part)"
        #expect(Links.local(in: text) == ["b.md", "../d/e.md"])
        #expect(Links.resolve("../d/e.md", from: ["x", "y"]) == "x/d/e.md")
    }
}
