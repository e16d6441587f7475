import Foundation
import Testing

@Suite("The documentation", .timeLimit(.minutes(2)))
struct SnippetTests {
  private static let here = URL(filePath: #filePath).deletingLastPathComponent()
  private static let root = here.appending(path: "../../..").standardized

  /// The README, and all articles.
  private static func documents() throws -> [URL] {
    let articles = try ["AsyncRedisLock", "AsyncRedisLockTesting"].flatMap { module in
      try FileManager.default.contentsOfDirectory(
        at: root.appending(path: "Sources/\(module)/\(module).docc"),
        includingPropertiesForKeys: nil)
    }
    return [root.appending(path: "README.md")] + articles.filter { $0.pathExtension == "md" }
  }

  @Test("All Swift code in the documentation is compiled")
  func snippets() throws {
    let files = [
      Self.here.appending(path: "Snippets.swift"),
      Self.here.appending(path: "TestingSnippets.swift"),
      Self.root.appending(path: "Examples/FirstLock/FirstLock.swift"),
    ]
    let compiled = try files.flatMap { file in
      try lines(of: String(contentsOf: file, encoding: .utf8))
    }
    var count = 0
    for document in try Self.documents() {
      let text = try String(contentsOf: document, encoding: .utf8)
      for block in text.components(separatedBy: "```swift\n").dropFirst() {
        count += 1
        let wanted = lines(of: block.components(separatedBy: "```")[0])
        let starts = compiled.indices.dropLast(wanted.count - 1)
        let isCompiled = starts.contains { compiled[$0..<$0 + wanted.count] == wanted[...] }
        #expect(isCompiled, "\(document.lastPathComponent): \(wanted.joined(separator: "\n"))")
      }
    }
    #expect(count >= 18)
  }

  @Test("No line of code in the documentation is cut off")
  func widths() throws {
    // The width of a column on a page of DocC.
    let widest = 77
    for document in try Self.documents() where document.lastPathComponent != "README.md" {
      let text = try String(contentsOf: document, encoding: .utf8)
      let parts = text.components(separatedBy: "```")
      for (index, block) in parts.enumerated() where !index.isMultiple(of: 2) {
        for line in block.split(separator: "\n") {
          #expect(line.count <= widest, "\(document.lastPathComponent): \(line)")
        }
      }
    }
  }

  @Test("The documentation states the same permissions for a user everywhere")
  func rules() throws {
    let start = "ACL SETUSER billing "
    let rules = try Self.documents().compactMap { document in
      try String(contentsOf: document, encoding: .utf8).components(separatedBy: start).dropFirst()
        .first?.components(separatedBy: "```")[0]
    }
    #expect(rules.count == 2)
    #expect(Set(rules).count == 1)
  }

  @Test("The documentation links only to articles that exist")
  func links() throws {
    let documents = try Self.documents()
    let names = Set(documents.map { $0.deletingPathExtension().lastPathComponent })
    for document in documents {
      let text = try String(contentsOf: document, encoding: .utf8)
      for link in text.matches(of: /<doc:([^>]+)>/) {
        #expect(names.contains(String(link.1)), "\(document.lastPathComponent): \(link.0)")
      }
    }
  }

  /// The lines with content, without their indentation, which differs between the two files.
  private func lines(of text: String) -> [String] {
    text.split(whereSeparator: \.isNewline)
      .map { $0.trimmingCharacters(in: .whitespaces) }
      .filter { !$0.isEmpty }
  }
}
