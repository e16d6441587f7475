#if CommandLineTool
  import Foundation

  /// A user with no other processes.
  enum Nobody {
    /// Runs a command as a user without other processes; only root can do that, and that user may not see the tool.
    static let command = ["/usr/bin/setpriv", "--reuid=65534", "--clear-groups"]

    /// Copies the command so that any user may become another by it, as by sudo; returns the path.
    ///
    /// - Throws: `CocoaError`, or `POSIXError` if root does not run the tests.
    static func makeBecome(in folder: TemporaryFolder) throws -> String {
      let become = folder.path("become")
      try FileManager.default.copyItem(atPath: command[0], toPath: become)
      guard unsafe chmod(become, 0o4755) == 0 else { throw POSIXError(.EPERM) }
      return become
    }

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
