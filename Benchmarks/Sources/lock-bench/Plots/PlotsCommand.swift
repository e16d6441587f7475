import ArgumentParser
import Foundation
import PrivateRedis

/// Measures how cost and throughput grow, and draws plots.
struct PlotsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plots",
    abstract: "Measures how costs grow with the other work of a process, and draws a plot of each.")

  @Option(help: "The number of rounds; the median is drawn.")
  var rounds = 3

  @Option(help: "The length of a round of tasks or contenders, in seconds.")
  var seconds = 0.7

  @Option(help: "The folder for the plots.")
  var folder = "Benchmarks/Plots"

  func run() async throws {
    _ = signal(SIGPIPE, SIG_IGN)
    let stage = try Stage(url: nil, listen: .tcp)
    try FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: true)
    for curve in Curve.all {
      let lines = try curve.contestants.map { contestant in
        Plot.Line(
          name: contestant.label,
          points: try curve.amounts.map { amount in
            FileHandle.standardError.write(
              Data("\(curve.file), \(contestant.label), \(amount)\n".utf8))
            let values = try (0..<rounds).compactMap { _ in
              try stage.measure(contestant, curve.measured(amount), seconds: seconds)[curve.metric]
            }
            return (amount, values.sorted()[values.count / 2])
          })
      }
      let plot = Plot(
        title: curve.title, xLabel: curve.cause, yLabel: curve.effect, lines: lines)
      try plot.svg.write(toFile: "\(folder)/\(curve.file).svg", atomically: true, encoding: .utf8)
      for line in lines {
        let points = line.points.map { "\($0.x): \(Int($0.y.rounded()))" }.joined(separator: ", ")
        print("\(curve.file), \(line.name): \(points)")
      }
    }
  }
}
