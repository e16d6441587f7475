import Foundation

/// Runs a program of the system and discards its output.
///
/// - Parameter command: The program's name and its arguments.
/// - Returns: The exit status of the program.
/// - Throws: `CocoaError` if it cannot be run.
public func runSystemCommand(_ command: String...) throws -> Int32 {
  let process = Process()
  process.executableURL = URL(filePath: "/usr/bin/env")
  process.arguments = command
  process.standardOutput = FileHandle.nullDevice
  process.standardError = FileHandle.nullDevice
  try process.run()
  process.waitUntilExit()
  return process.terminationStatus
}
