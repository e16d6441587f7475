import Foundation

/// How long the cores have been busy so far, for any process; nil if the system does not tell.
struct MachineLoad {
  let busySeconds: Double

  /// Reads the load of the cores on which a placement runs.
  static func now(_ placement: Placement) -> MachineLoad? {
    let name = placement == .oneCore ? "cpu\(CPUAffinity.core)" : "cpu"
    guard let text = try? String(contentsOfFile: "/proc/stat", encoding: .utf8),
      let line = text.split(separator: "\n").first(where: { $0.hasPrefix("\(name) ") })
    else { return nil }
    // user nice system idle iowait irq softirq steal
    let ticks = line.split(separator: " ").dropFirst().prefix(8).compactMap { Double($0) }
    guard ticks.count == 8 else { return nil }
    let busy = ticks.reduce(0, +) - ticks[3] - ticks[4]
    return MachineLoad(busySeconds: busy / Double(sysconf(CInt(_SC_CLK_TCK))))
  }
}
