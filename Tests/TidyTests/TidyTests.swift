// Holds the whole source tree to the rules, and holds the rules to small samples that break them: a rule that cannot
// fail checks nothing.

import Testing

@Suite struct TidyTests {
    @Test(arguments: Rule.all)
    func treeKeeps(_ rule: Rule) {
        let problems = SourceTree.project.files.flatMap(rule.check)
        #expect(problems.isEmpty, "\(rule.name):\n\(problems.map(\.description).joined(separator: "\n"))")
    }

    @Test func treeIsSeen() {
        let paths = Set(SourceTree.project.files.map(\.path))
        #expect(paths.count > 50)
        for path in ["Sources/ValkBase/Bytes/ByteView.swift", "scripts/bench", "Tests/TidyTests/TidyTests.swift"] {
            let isSeen = paths.contains(path)
            #expect(isSeen, "\(path) is not seen")
        }
    }

    @Test func nothingStrayInTheRoot() {
        let known: Set<String> = [
            ".ci", ".git", ".gitignore", ".swift-format", "LICENSE", "Package.swift", "README.md",
            "Sources",
            "Tests", "conformance", "scripts",
        ]
        let stray = SourceTree.project.topLevel.filter { !known.contains($0) }
        #expect(stray.isEmpty, "not known in the root folder: \(stray)")
        for name in ["README.md", "Package.swift", ".ci/run"] {
            let exists = SourceTree.project.exists(name)
            #expect(exists, "\(name) is missing")
        }
    }

    @Test func ignoredNamesAreThoseOfGit() throws {
        let text = try #require(SourceTree.read("\(SourceTree.project.root)/.gitignore"))
        for line in text.split(separator: "\n") {
            let name = line.split(separator: "/").joined().replacing("*", with: "x")
            #expect(SourceTree.isIgnored(name), "git ignores \(line), the tidy tests do not")
        }
    }

    @Test(arguments: ["ValkEngine", "ValkData", "ValkServer"])
    func bigModulesAreDescribed(_ module: String) {
        let folder = "Sources/\(module)/\(module).docc/"
        let documents = SourceTree.project.files.filter { $0.path.hasPrefix(folder) && $0.path.hasSuffix(".md") }
        #expect(documents.count > 0, "\(folder) has no document")
        let untitled = documents.filter { !$0.text.hasPrefix("# ") }.map(\.path)
        #expect(untitled.isEmpty, "documents that begin without a title")
    }

    @Test func linksInDocumentsLead() {
        let tree = SourceTree.project
        var dead: [String] = []
        for file in tree.files where file.path.hasSuffix(".md") {
            let folder = file.path.split(separator: "/").dropLast().map(String.init)
            for link in Links.local(in: file.text) where !tree.exists(Links.resolve(link, from: folder)) {
                dead.append("\(file.path): \(link)")
            }
        }
        #expect(dead.isEmpty, "links that lead nowhere:\n\(dead.joined(separator: "\n"))")
    }

    @Test func scriptsCanBeRun() {
        for file in SourceTree.project.files where file.path.hasPrefix("scripts/") && file.text.hasPrefix("#!") {
            let isRunnable = SourceTree.project.isRunnable(file.path)
            #expect(isRunnable, "\(file.path) is not executable")
        }
    }

    @Test func tableOfImportsPointsDown() {
        var below: Set<String> = ["Logging", "ArgumentParser", "Foundation"]
        for row in Rule.mayImport {
            #expect(
                row.imports.isSubset(of: below), "\(row.module) imports \(row.imports.subtracting(below)) from above")
            below.insert(row.module)
        }
        let modules = Set(SourceTree.project.files.compactMap(\.module))
        #expect(modules.isSubset(of: below), "not in the table: \(modules.subtracting(below))")
    }
}

/// Links of Markdown documents.
enum Links {
    /// Targets of `[text](target)` that name a file of the project.
    static func local(in text: String) -> [String] {
        var found: [String] = []
        var rest = text[...]
        while let start = rest.firstRange(of: "](") {
            rest = rest[start.upperBound...]
            guard let end = rest.firstIndex(of: ")") else { break }
            let target = rest[..<end].prefix { $0 != "#" }
            let isElsewhere = target.contains("://") || target.hasPrefix("mailto:") || target.contains(" ")
            if !target.isEmpty && !isElsewhere { found.append(String(target)) }
        }
        return found
    }

    static func resolve(_ link: String, from folder: [String]) -> String {
        var parts = folder
        for part in link.split(separator: "/") where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(String(part)) }
        }
        return parts.joined(separator: "/")
    }
}
