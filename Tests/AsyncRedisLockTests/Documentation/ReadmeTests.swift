import Foundation
import Testing

@Suite("The README")
struct ReadmeTests {
  @Test("shows no Swift code that is not compiled")
  func snippets() throws {
    let here = URL(filePath: #filePath).deletingLastPathComponent()
    let root = here.appending(path: "../../..").standardized
    let readme = try String(contentsOf: root.appending(path: "README.md"), encoding: .utf8)
    let code = try String(contentsOf: here.appending(path: "ReadmeSnippets.swift"), encoding: .utf8)
    let compiled = lines(of: code)
    let blocks = readme.components(separatedBy: "```swift\n").dropFirst()
    #expect(blocks.count >= 6)
    for block in blocks {
      let wanted = lines(of: block.components(separatedBy: "```")[0])
      let starts = compiled.indices.dropLast(wanted.count - 1)
      let isCompiled = starts.contains { compiled[$0..<$0 + wanted.count] == wanted[...] }
      #expect(isCompiled, "\(wanted.joined(separator: "\n"))")
    }
  }

  /// The lines that say something, without their indentation, which differs between the two files.
  private func lines(of text: String) -> [String] {
    text.split(whereSeparator: \.isNewline)
      .map { $0.trimmingCharacters(in: .whitespaces) }
      .filter { !$0.isEmpty }
  }
}
