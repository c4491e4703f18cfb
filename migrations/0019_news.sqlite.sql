-- Nothing: nobody is told here, the server looks.

-- down
