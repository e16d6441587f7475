#if CommandLineTool
  import Foundation
  import Testing

  @testable import RedisLockTool

  @Suite("The man page and the completions of redis-lock", .timeLimit(.minutes(2)))
  struct GeneratedTests {
    private static let packaging = URL(filePath: #filePath)
      .appending(path: "../../../Packaging").standardized

    private static let hasPerl = SystemTool.runs(["perl", "-MJSON::PP", "-e", "1"])
    private static let hasMan = SystemTool.runs(["man", "--version"])

    private func kept(_ name: String) throws -> String {
      let file = Self.packaging.appending(path: "generated").appending(path: name)
      return try String(contentsOf: file, encoding: .utf8)
    }

    @Test(
      "The generated files in the repository match the program: otherwise call make generated",
      .enabled("There is no Perl with JSON.") { hasPerl })
    func current() async throws {
      let folder = try TemporaryFolder()
      let script = Self.packaging.appending(path: "generate").path(percentEncoded: false)
      let generator = try ToolProcess(
        [script, folder.path("new")], through: ["/bin/sh", "-c", #"exec "$1" "$0" "$2""#])
      let outcome = await generator.outcome()
      #expect(outcome.status == 0, "\(outcome.errors)")
      for name in ["redis-lock.1", "redis-lock.bash", "_redis-lock", "redis-lock.fish"] {
        #expect(folder.read("new/" + name) == (try kept(name)), "\(name)")
      }
    }

    @Test("The man page names each exit status and each variable, and has all sections")
    func complete() throws {
      let page = try kept("redis-lock.1")
      let lines = Set(page.split(separator: "\n").map(String.init))
      for status in ToolStatus.allCases where status != .problem {
        #expect(lines.contains(".B \(status.rawValue)"), "\(status)")
      }
      for section in [
        "NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "EXIT STATUS", "ENVIRONMENT", "EXAMPLES",
        "SEE ALSO",
      ] {
        #expect(lines.contains(".SH " + section), "\(section)")
      }
      for variable in ["URL", "URL_FILE", "KEY", "TOKEN", "FENCE"] {
        #expect(lines.contains(".B REDIS_LOCK_" + variable), "\(variable)")
      }
    }

    @Test("The man page is shown without a warning", .enabled("There is no man.") { hasMan })
    func warnings() async throws {
      let page = Self.packaging.appending(path: "generated/redis-lock.1")
      let man = try ToolProcess(
        [page.path(percentEncoded: false)],
        through: ["/bin/sh", "-c", #"MANWIDTH=80 exec man -l --warnings "$1""#])
      let outcome = await man.outcome()
      #expect(outcome.status == 0 && outcome.errors.isEmpty, "\(outcome.errors)")
      #expect(outcome.output.contains("--conflict-exit-code"))
    }
  }
#endif
