#if CommandLineTool && os(Linux)
  import Foundation

  extension ToolProcess {
    /// The process that guards the tool's command; nil while there is none.
    var guardian: pid_t? { child(named: "lock-guardian") }

    /// How many children of the tool have ended and were not reaped.
    var zombieCount: Int {
      let processes = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
      return processes.lazy.compactMap { pid_t($0) }.count { process in
        let status = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
        return status?.contains("\nPPid:\t\(processID)\n") == true
          && status?.contains("\nState:\tZ") == true
      }
    }

    /// Whether the tool has a child other than its guardian.
    var hasCommand: Bool {
      let processes = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
      return processes.contains { process in
        let status = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
        return status?.contains("\nPPid:\t\(processID)\n") == true
          && status?.hasPrefix("Name:\tlock-guardian\n") == false
      }
    }

    /// A child of the tool by its name; nil if none runs.
    func child(named name: String) -> pid_t? {
      let processes = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
      return processes.lazy.compactMap { pid_t($0) }.first { process in
        let status = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
        guard let status, status.hasPrefix("Name:\t\(name)\n") else { return false }
        return status.contains("\nPPid:\t\(processID)\n") && !status.contains("\nState:\tZ")
      }
    }
  }
#endif
