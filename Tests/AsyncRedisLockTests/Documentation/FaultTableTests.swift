import Foundation
import Testing

@Suite("The table of faults", .timeLimit(.minutes(2)))
struct FaultTableTests {
  private static let tests = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../..").standardized

  private let table: String

  init() throws {
    table = try String(contentsOf: Self.tests.appending(path: "Faults.md"), encoding: .utf8)
  }

  @Test("The table of faults names only tests that exist")
  func names() throws {
    let sources = try Self.sources()
    let named = table.matches(of: /`([A-Z]\w+Tests)\.(\w+)`/)
    #expect(named.count > 100)
    for match in named {
      let (suite, test) = (match.1, match.2)
      let isThere = sources.contains { source in
        source.contains("struct \(suite) {") && source.contains("func \(test)(")
      }
      #expect(isThere, "\(suite).\(test)")
    }
  }

  @Test("The table of faults has a row with a test for each fault, in order")
  func rows() {
    let rows = table.split(separator: "\n").filter { $0.hasPrefix("| F") }
    let numbers = rows.map { $0.dropFirst(3).prefix { $0.isNumber } }
    #expect(numbers == (1...87).map { "\($0)"[...] })
    for row in rows {
      let cells = row.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
      #expect(cells.count == 4 && cells.allSatisfy { !$0.isEmpty }, "\(row)")
      #expect(cells.last?.contains("Tests.") == true, "\(row)")
    }
  }

  private static func sources() throws -> [String] {
    let folder = tests.appending(path: "AsyncRedisLockTests")
    let files = try FileManager.default.subpathsOfDirectory(
      atPath: folder.path(percentEncoded: false))
    return try files.filter { $0.hasSuffix(".swift") }.map {
      try String(contentsOf: folder.appending(path: $0), encoding: .utf8)
    }
  }
}
