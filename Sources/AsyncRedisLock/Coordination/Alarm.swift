/// Something to be told that its time has come.
protocol Alarm: AnyObject, Sendable {
  /// Whether nobody wants to be told any more.
  var isOver: Bool { get }

  func ring()
}

extension Promise: Alarm where Value == Bool {
  var isOver: Bool { isKept }

  func ring() { fulfil(true) }
}
