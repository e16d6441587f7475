import Foundation
import Testing

/// A container as processes see it: the command is its first process.
enum Container {
  static let command = ["/usr/bin/unshare", "--pid", "--fork", "--mount-proc"]

  /// Whether this user may make one.
  static var canRun: Bool { SystemTool.runs(command + ["true"]) }

  /// Waits for the first process of the container that a launcher has made.
  static func firstProcess(of launcher: ToolProcess) async throws -> pid_t {
    let file = "/proc/\(launcher.processID)/task/\(launcher.processID)/children"
    func child() -> pid_t? {
      let children = try? String(contentsOfFile: file, encoding: .utf8)
      return children?.split(separator: " ").first.flatMap { pid_t($0) }
    }
    await until("the container has a process") { child() != nil }
    return try #require(child())
  }
}
