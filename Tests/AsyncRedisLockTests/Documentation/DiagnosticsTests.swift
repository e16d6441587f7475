import Foundation
import Testing

@testable import AsyncRedisLock

/// Code that is often written at first, and a part of the compiler's message about it.
private let wrongSnippets: [(code: String, message: String)] = [
  (
    #"try await locker.withLock("a", "b") { _ in }"#,
    #"error: .* several keys go into an array: withLock\(\["a", "b"\]\)"#
  ),
  (
    #"_ = try await locker.withLockIfAvailable("a", "b") { _ in }"#,
    #"error: .* several keys go into an array: withLockIfAvailable\("#
  ),
  (
    #"try await locker.withLock("k", timeout: .seconds(5)) { _ in }"#,
    #"error: .* withLock\(key, options: LockOptions\(timeout: …\)\)"#
  ),
  (
    #"try await locker.withLock("k", ttl: .seconds(5)) { lock in print(lock) }"#,
    #"error: .* withLock\(key, options: LockOptions\(ttl: …\)\)"#
  ),
  (
    #"_ = try await locker.withLockIfAvailable("k", timeout: .seconds(5)) { _ in 7 }"#,
    #"error: .* a call that does not wait has no timeout"#
  ),
  (
    #"let lock = try await locker.acquire("k", timeout: .seconds(5)); try await lock.release()"#,
    #"error: .* acquire\(key, options: LockOptions\(timeout: …\)\)"#
  ),
  (
    #"if let lock = try await locker.acquireIfAvailable("k", timeout: .zero) { print(lock) }"#,
    #"error: .* an acquisition that does not wait has no timeout"#
  ),
  (
    #"let lock = try await locker.acquire("k"); try await lock.unlock()"#,
    #"error: .* write release\(\)"#
  ),
  (#"_ = try await locker.lock("k")"#, #"error: .* write withLock\(key\) \{ … \}"#),
  (#"_ = try await locker.tryLock("k")"#, #"error: .* write withLockIfAvailable\(key\)"#),
  (#"try await locker.release("k")"#, #"error: .* lock\.release\(\); forceRelease\(key\)"#),
  (
    #"do { try await locker.close() } catch LockError.timeout {}"#,
    #"error: .* in a catch, write LockError\.Code\.timeout"#
  ),
  (
    #"if try await locker.acquireIfAvailable("k") != nil { print("unlocked") }"#,
    #"warning: .* is released before the next line: write `if let lock = …`"#
  ),
  (#"try await locker.acquire("k")"#, #"warning: result of call to 'acquire"#),
  (#"let locker = try Locker(url: "redis://h")"#, #"error: .*'async'.*'await'"#),
]

@Suite(
  "The compiler's messages", .timeLimit(.minutes(2)),
  .enabled(if: Compiler.isThere, "there is no compiler, or the modules are not beside the tests"))
struct DiagnosticsTests {
  @Test(
    "For calls that are often written at first, the compiler suggests the right one",
    arguments: wrongSnippets)
  func wrong(_ code: String, _ message: String) throws {
    let said = try Compiler.check("func f(_ locker: Locker) async throws { \(code) }")
    let pattern = try Regex(message)
    #expect(said.split(separator: "\n").contains { $0.contains(pattern) }, "\(said)")
  }

  @Test("A body may capture and return values that are not Sendable, on any actor")
  func captures() throws {
    let said = try Compiler.check(
      """
      final class Book { var total = 0 }
      @MainActor final class Desk {
        var book = Book()
        func work(_ locker: Locker) async throws -> Book {
          let other = try await locker.withLock("k") { _ in
            book.total += 1
            return book
          }
          other.total += 1
          let none: Book? = try await locker.withLockIfAvailable("k") { _ in Book() }
          return none ?? other
        }
      }
      actor Clerk {
        var book = Book()
        func work(_ locker: Locker) async throws -> Int {
          try await locker.withLock(["a", "b"]) { lock in
            book.total += lock.keys.count
            return book.total
          }
        }
      }
      func work(_ locker: Locker) async throws -> Book {
        let book = Book()
        try await locker.withLock("k") { _ in book.total += 1 }
        let made = try await locker.withLock("k") { _ in Book() }
        return made.total > 0 ? made : book
      }
      """)
    #expect(said.isEmpty)
  }

  @Test("A handle that is bound, kept or compared with nil causes no warning")
  func handles() throws {
    let said = try Compiler.check(
      """
      func work(_ locker: Locker) async throws -> Bool {
        if let lock = try await locker.acquireIfAvailable("k") { try await lock.release() }
        guard let lock = try await locker.acquireIfAvailable("k") else { return false }
        let isFree = try await locker.acquireIfAvailable("other") == nil
        try await lock.release()
        return isFree && lock.isHeld
      }
      """)
    #expect(said.isEmpty)
  }

  @Test("If the header of hiredis is missing, the compiler names the packages that have it")
  func missingHeader() throws {
    let header = Compiler.sources.appending(path: "Modules/CHiredis/shim.h")
    let text = try String(contentsOf: header, encoding: .utf8)
      .replacing("<hiredis/hiredis.h>", with: "<hiredis/there-is-none.h>")
    let said = try Compiler.run("clang", ["-x", "c", "-fsyntax-only", "-"], input: text)
    #expect(
      said.contains("error: \"hiredis is missing: install it by `apt-get install libhiredis-dev`"))
    #expect(said.contains("`brew install hiredis`"))
  }
}

/// The compiler that built the tests, used to check snippets.
private enum Compiler {
  static let sources = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
  private static let products = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
  private static let modules = products.appending(path: "Modules")

  static var isThere: Bool {
    let module = modules.appending(path: "AsyncRedisLock.swiftmodule").path(percentEncoded: false)
    return FileManager.default.fileExists(atPath: module) && tool("swiftc") != nil
  }

  /// The compiler's messages about a file that imports the library.
  static func check(_ code: String) throws -> String {
    var arguments = [
      "-typecheck", "-swift-version", "6", "-parse-as-library", "-diagnostic-style", "llvm", "-I",
      modules.path(percentEncoded: false), "-I",
      sources.appending(path: "Modules/CHiredis").path(percentEncoded: false), "-I",
      sources.appending(path: "Modules/COpenSSL").path(percentEncoded: false),
    ]
    for name in ["CEpoll", "CThreadSanitizer"] {
      let map = products.appending(path: "\(name).build/module.modulemap")
      arguments += ["-Xcc", "-fmodule-map-file=\(map.path(percentEncoded: false))"]
    }
    return try run("swiftc", arguments + ["-"], input: "import AsyncRedisLock\n\(code)\n")
  }

  /// The output of a tool for a text as its input.
  static func run(_ name: String, _ arguments: [String], input: String) throws -> String {
    let process = Process()
    let program = try #require(tool(name), "\(name) is not in PATH")
    process.executableURL = program
    process.arguments = arguments
    let (standardInput, output) = (Pipe(), Pipe())
    process.standardInput = standardInput
    process.standardOutput = output
    process.standardError = output
    try process.run()
    standardInput.fileHandleForWriting.write(Data(input.utf8))
    try standardInput.fileHandleForWriting.close()
    let said = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return String(decoding: said, as: UTF8.self)
  }

  private static func tool(_ name: String) -> URL? {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
    return path.split(separator: ":").map { URL(filePath: "\($0)/\(name)") }
      .first { FileManager.default.isExecutableFile(atPath: $0.path(percentEncoded: false)) }
  }
}
