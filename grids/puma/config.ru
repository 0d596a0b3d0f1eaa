# A small Rack app: /stock computes, /wait waits for something slow.
#
# WAIT_MS  how long /wait waits (60)
# WORK     a factor on the work of /stock (1.0)

require "json"

WAIT_SECONDS = Float(ENV.fetch("WAIT_MS", "60")) / 1000
ROUNDS = [1, (4 * Float(ENV.fetch("WORK", "1"))).round].max
STOCK = Array.new(600) { |n| JSON.generate("shelf" => n % 24, "pieces" => n * 7 % 90) }.freeze

def pieces_by_shelf
  shelves = Array.new(24, 0)
  ROUNDS.times do
    STOCK.each do |line|
      item = JSON.parse(line)
      shelves[item["shelf"]] += item["pieces"]
    end
  end
  shelves
end

def answer(status, value)
  [status, { "content-type" => "application/json" }, [JSON.generate(value)]]
end

run(lambda do |env|
  case env["PATH_INFO"]
  when "/stock" then answer(200, "shelves" => pieces_by_shelf)
  when "/wait"
    sleep(WAIT_SECONDS)
    answer(200, "upstream" => "ok")
  else answer(404, "error" => "no such page")
  end
end)
