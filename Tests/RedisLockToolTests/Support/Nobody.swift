#if CommandLineTool
  import Foundation

  /// A user with no other processes.
  enum Nobody {
    /// Runs a command as a user without other processes; only root can do that, and that user may not see the tool.
    static let command = ["/usr/bin/setpriv", "--reuid=65534", "--clear-groups"]

    static var canRun: Bool {
      guard FileManager.default.fileExists(atPath: command[0]) else { return false }
      let process = Process()
      process.executableURL = URL(filePath: command[0])
      process.arguments = Array(command.dropFirst()) + ["test", "-x", ToolProcess.path]
      guard (try? process.run()) != nil else { return false }
      process.waitUntilExit()
      return process.terminationStatus == 0
    }
  }
#endif
