import Foundation

/// A plot with a logarithmic axis for the amount that grows, and an axis from zero for the figure.
struct Plot {
  struct Line {
    let name: String
    let points: [(x: Int, y: Double)]
  }

  let title: String
  let xLabel: String
  let yLabel: String
  let lines: [Line]

  private static let (width, height) = (640.0, 320.0)
  private static let (left, right, top, bottom) = (70.0, 150.0, 40.0, 50.0)
  /// Distinguishable on light and dark backgrounds, even without colours: one line is dashed.
  private static let styles = ["stroke=\"#d9480f\"", "stroke=\"#1c7ed6\" stroke-dasharray=\"6 4\""]

  private var amounts: [Int] { Set(lines.flatMap { $0.points.map(\.x) }).sorted() }

  /// A round number above all drawn values.
  private var largest: Double {
    let value = max(lines.flatMap { $0.points.map(\.y) }.max() ?? 1, 1e-9) * 1.1
    let unit = pow(10, floor(log10(value)))
    return [1, 2, 2.5, 5, 10].map { $0 * unit }.first { $0 >= value } ?? value
  }

  /// Zero is placed a decade below the first amount.
  private func x(_ amount: Int) -> Double {
    let positive = amounts.filter { $0 > 0 }
    let first = log10(Double(positive.first ?? 1)) - (amounts.first == 0 ? 1 : 0)
    let last = log10(Double(positive.last ?? 10))
    let position = amount == 0 ? first : log10(Double(amount))
    let span = max(last - first, 1e-9)
    return Self.left + (position - first) / span * (Self.width - Self.left - Self.right)
  }

  private func y(_ value: Double) -> Double {
    Self.height - Self.bottom - value / largest * (Self.height - Self.top - Self.bottom)
  }

  var svg: String {
    var parts = [
      """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Int(Self.width)) \(Int(Self.height))" \
      font-family="system-ui, sans-serif" font-size="12" fill="#868e96" role="img">
      <title>\(title), by \(xLabel)</title>
      <text x="\(Self.left)" y="20" font-size="15">\(title)</text>
      """
    ]
    for step in 0...4 {
      let value = largest * Double(step) / 4
      parts.append(
        """
        <line x1="\(Self.left)" x2="\(Self.width - Self.right)" y1="\(y(value).short)" \
        y2="\(y(value).short)" stroke="#868e96" stroke-opacity="0.3"/>
        <text x="\(Self.left - 6)" y="\((y(value) + 4).short)" text-anchor="end">\(value.formatted())</text>
        """)
    }
    for amount in amounts {
      parts.append(
        """
        <text x="\(x(amount).short)" y="\(Self.height - Self.bottom + 18)" \
        text-anchor="middle">\(amount.formatted())</text>
        """)
    }
    parts.append(
      """
      <text x="\((Self.left + Self.width - Self.right) / 2)" y="\(Self.height - 10)" \
      text-anchor="middle">\(xLabel)</text>
      <text x="8" y="\(Self.top - 10)">\(yLabel)</text>
      """)
    for (line, style) in zip(lines, Self.styles) {
      let points = line.points.map { "\(x($0.x).short),\(y($0.y).short)" }
      parts.append(
        "<polyline points=\"\(points.joined(separator: " "))\" fill=\"none\" stroke-width=\"2\" \(style)/>"
      )
      if let last = line.points.last {
        parts.append(
          "<text x=\"\((x(last.x) + 8).short)\" y=\"\((y(last.y) + 4).short)\">\(line.name)</text>")
      }
    }
    return (parts + ["</svg>", ""]).joined(separator: "\n")
  }
}

extension Double {
  /// Rounds to a tenth of a pixel.
  fileprivate var short: String { String(format: "%.1f", self) }
}
