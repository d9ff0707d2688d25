pub struct Sweeper;
